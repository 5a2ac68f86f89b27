# canary: probe

# METADATA
# title: Everyone
# description: A deliberate mistake. It applies whatever is asked.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package permits.everyone

applies := true

concerns := true
