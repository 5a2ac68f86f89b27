# canary: form lint

# METADATA
# title: Claims
# description: A deliberate mistake. The caller says so.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package permits.claims

applies if input.context.intent.model == "trusted"

concerns if input.tool.name == "x"
