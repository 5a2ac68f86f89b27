# METADATA
# title: No argument is used that is forbidden
# description: |
#   Arguments that carry the label of config.yaml, and those that config.yaml lists for the tool or for its labels,
#   are left out, or false: no call forces, skips checks or acts as somebody else.
# custom:
#   remedy: Leave the argument out. What it is for needs another tool, with an owner who agrees.
#   owner: application security
#   severity: high
#   stage: call
#   good:
#     - tool: {server: git, name: push, labels: [], argument_labels: {/force: [x-forbidden]}}
#       arguments: {branch: main}
#     - tool: {server: git, name: push, labels: [], argument_labels: {/force: [x-forbidden]}}
#       arguments: {branch: main, force: false}
#   bad:
#     tool: {server: git, name: push, labels: [], argument_labels: {/force: [x-forbidden]}}
#     arguments: {branch: main, force: true}
package guards.no_forbidden_arguments

import data.config
import data.lib.argument
import data.lib.tool

holds if {
	argument.labelled_unused(
		input.arguments,
		input.tool.argument_labels,
		config.guards.no_forbidden_arguments.label,
	)
	argument.placed_unused(input.arguments, _forbidden)
}

_forbidden := tool.listed(
	input.tool,
	config.guards.no_forbidden_arguments.labels,
	config.guards.no_forbidden_arguments.tools,
)
