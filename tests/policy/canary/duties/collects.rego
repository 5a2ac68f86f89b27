# canary: form lint

# METADATA
# title: Collects
# description: A deliberate mistake. It owes nothing when the labels are missing.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package duties.collects

duty := {"type": "redact", "pointers": [label | some label in input.tool.labels]}
