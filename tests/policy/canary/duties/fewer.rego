# canary: losses

# METADATA
# title: Fewer
# description: A deliberate mistake. An owner that was lost shortens the list.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {owner: hr}}
#   bad: {tool: {}}
package duties.fewer

duty := {"type": "redact", "pointers": ["/salary", "/notes"]} if is_string(input.tool.owner)

duty := {"type": "redact", "pointers": ["/notes"]} if is_boolean(input.tool.owner)
