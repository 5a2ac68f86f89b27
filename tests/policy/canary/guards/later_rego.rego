# canary: capabilities

# METADATA
# title: Later Rego
# description: A deliberate mistake. It changes what negation means.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.later_rego

import rego.v2

holds if input.tool.name == "x"
