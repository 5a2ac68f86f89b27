# canary: form lint

# METADATA
# title: Counted
# description: A deliberate mistake. There is nothing to count when the facts are missing.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.counted

holds if count([group | some group in input.caller.person.groups; group == "contractors"]) == 0
