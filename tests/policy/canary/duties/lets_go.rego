# canary: losses

# METADATA
# title: Lets go
# description: A deliberate mistake. An owner that was lost is taken for nobody to protect.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {owner: hr}}
#   bad: {tool: {owner: true}}
package duties.lets_go

duty := {"type": "redact", "pointers": ["/salary"]} if is_string(input.tool.owner)

duty := {"type": "none"} if is_boolean(input.tool.owner)
