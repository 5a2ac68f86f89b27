# METADATA
# title: Nobody does both halves of a task, and nobody decides for themselves
# description: |
#   For a tool whose labels config.yaml names, the person and the agent together hold roles of one side only. And an argument
#   labelled `beneficiary` never names who calls: not the person, no agent between, no owner of the agent.
# custom:
#   remedy: Somebody else makes this call, or an operator takes one of the two roles away.
#   owner: internal audit
#   severity: high
#   stage: call
#   good:
#     - caller: {mode: user_direct, person: {id: alice, roles: [payment-releaser]}}
#       tool: {server: bank, name: release, labels: [payment-release], argument_labels: {}}
#       arguments: {}
#     - caller: {mode: autonomous, agent: {id: nightly, owners: [dora], roles: []}}
#       tool: {server: hr, name: pay_bonus, labels: [], argument_labels: {/employee: [beneficiary]}}
#       arguments: {employee: alice}
#   bad:
#     - caller: {mode: user_direct, person: {id: alice, roles: [payment-preparer, payment-releaser]}}
#       tool: {server: bank, name: release, labels: [payment-release], argument_labels: {}}
#       arguments: {}
#     - caller: {mode: user_direct, person: {id: alice, roles: []}}
#       tool: {server: hr, name: pay_bonus, labels: [], argument_labels: {/employee: [beneficiary]}}
#       arguments: {employee: Alice}
#     - caller: {mode: autonomous, agent: {id: nightly, owners: [dora], roles: []}}
#       tool: {server: hr, name: pay_bonus, labels: [], argument_labels: {/employee: [beneficiary]}}
#       arguments: {employee: dora}
package guards.segregation_of_duties

import data.config
import data.lib.argument
import data.lib.list
import data.lib.role
import data.lib.tool

holds if {
	_one_side
	_nobody_for_themselves
}

_one_side if list.empty(_pairs)

_one_side if role.apart(_roles, _pairs)

_pairs := tool.listed(
	input.tool,
	config.guards.segregation_of_duties.labels,
	config.guards.segregation_of_duties.tools,
)

_roles := [input.caller.person.roles] if input.caller.mode == "user_direct"

_roles := [input.caller.person.roles, input.caller.agent.roles] if input.caller.mode == "user_delegated"

_roles := [input.caller.agent.roles] if input.caller.mode == "autonomous"

_nobody_for_themselves if {
	argument.unlabelled(input.tool.argument_labels, config.guards.segregation_of_duties.beneficiary)
}

_nobody_for_themselves if argument.labelled_apart(
	input.arguments,
	input.tool.argument_labels,
	config.guards.segregation_of_duties.beneficiary,
	_everyone,
)

_everyone := [[input.caller.person.id]] if input.caller.mode == "user_direct"

_everyone := [
	[input.caller.person.id, input.caller.agent.id],
	input.caller.agent.owners,
	input.caller.delegation.chain,
] if {
	input.caller.mode == "user_delegated"
}

_everyone := [[input.caller.agent.id], input.caller.agent.owners] if input.caller.mode == "autonomous"
