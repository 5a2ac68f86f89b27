# canary: schema

# METADATA
# title: Misspelt fact
# description: A deliberate mistake. There is no caler.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.misspelt_fact

holds if input.caler.mode == "user_direct"
