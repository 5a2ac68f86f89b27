# canary: probe

# METADATA
# title: Owed for nothing
# description: A deliberate mistake. It is owed whatever is asked.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package duties.owed_for_nothing

duty := {"type": "redact", "pointers": []}
