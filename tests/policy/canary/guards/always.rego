# canary: probe

# METADATA
# title: Always
# description: A deliberate mistake. It holds whatever is asked.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.always

holds if 1 == 1
