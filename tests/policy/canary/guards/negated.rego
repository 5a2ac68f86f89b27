# canary: form lint

# METADATA
# title: Negated
# description: A deliberate mistake. It holds when the groups are missing.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.negated

holds if not "contractors" in input.caller.person.groups
