# METADATA
# title: The arguments stay in bounds
# description: |
#   Every argument that carries a label with bounds in config.yaml, and every argument that config.yaml bounds for this
#   very tool, is a number inside them. One that is missing is out of bounds.
# custom:
#   remedy: Keep the argument between the bounds, or have the tool's owner change them in config.yaml.
#   owner: application security
#   severity: high
#   stage: call
#   good:
#     tool: {server: payments, name: create_refund, argument_labels: {/amount: [money]}}
#     arguments: {amount: 10}
#   bad:
#     tool: {server: payments, name: create_refund, argument_labels: {/amount: [money]}}
#     arguments: {amount: -10}
package guards.arguments_in_bounds

import data.config
import data.lib.argument
import data.lib.tool

holds if {
	argument.labelled_within(input.arguments, input.tool.argument_labels, config.guards.arguments_in_bounds.labels)
	argument.placed_within(input.arguments, tool.name(input.tool), config.guards.arguments_in_bounds.tools)
}
