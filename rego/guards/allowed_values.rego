# METADATA
# title: The arguments have values that are allowed
# description: |
#   Every argument that carries a label listed in config.yaml, and every argument that config.yaml lists for this very tool,
#   has one of the values given there; of a list, every item does. One that is missing or empty does not.
# custom:
#   remedy: Use one of the allowed values, or have the tool's owner add the value in config.yaml.
#   owner: application security
#   severity: high
#   stage: call
#   good:
#     tool: {server: deploy, name: restart, argument_labels: {/stage: [x-environment]}}
#     arguments: {stage: test}
#   bad:
#     - tool: {server: deploy, name: restart, argument_labels: {/stage: [x-environment]}}
#       arguments: {stage: production}
#     - tool: {server: deploy, name: restart, argument_labels: {/stage: [x-environment]}}
#       arguments: {}
package guards.allowed_values

import data.config
import data.lib.argument
import data.lib.tool

holds if {
	argument.labelled_among(input.arguments, input.tool.argument_labels, config.guards.allowed_values.labels)
	argument.placed_among(input.arguments, tool.name(input.tool), config.guards.allowed_values.tools)
}
