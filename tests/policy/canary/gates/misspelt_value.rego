# canary: schema

# METADATA
# title: Misspelt value
# description: A deliberate mistake. There is no ceiling in the values of a gate.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package gates.misspelt_value

import data.config

open if input.tool.name == config.gates.amount.ceiling
