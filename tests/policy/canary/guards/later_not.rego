# canary: capabilities

# METADATA
# title: Later not
# description: A deliberate mistake. It changes what negation means.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.later_not

import future.keywords.not

holds if input.tool.name == "x"
