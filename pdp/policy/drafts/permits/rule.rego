# METADATA
# title: The role NAME may call tools labelled NAME
# description: |
#   A person with the role NAME may call every tool that carries the label NAME,
#   directly or through an agent, without a right to each. Guards and gates are asked all the same.
# custom:
#   remedy: Ask for the role NAME, or for a right to the tool.
#   owner: security
#   severity: high
#   stage: caller
#   good:
#     tool: {labels: [NAME]}
#     caller: {mode: user_direct, person: {roles: [NAME]}}
#   bad:
#     - tool: {labels: [NAME]}
#       caller: {mode: user_direct, person: {roles: [another]}}
#     - tool: {labels: [another]}
#       caller: {mode: user_direct, person: {roles: [NAME]}}
package permits.NAME

import data.lib.list

applies if {
	input.caller.mode in ["user_direct", "user_delegated"]
	list.contains_all(input.tool.labels, ["NAME"])
	list.contains_all(input.caller.person.roles, ["NAME"])
}
