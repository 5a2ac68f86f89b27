# METADATA
# title: The tool does no more than the agent may do
# description: |
#   The tool's class of impact (read, write, external, destructive, privileged) is not above what the agent may do, or any
#   agent that handed the task on, nor, when it acts for a person, above what the person let it do. A person who calls
#   without an agent is not limited here.
# custom:
#   remedy: Use a tool of lower impact, or have the owner of the agent or the delegation raise `max_impact`.
#   owner: identity
#   severity: high
#   stage: caller
#   good:
#     caller: {mode: user_delegated, agent: {max_impact: privileged}, delegation: {max_impact: write}}
#     tool: {risk_class: write}
#   bad:
#     caller: {mode: user_delegated, agent: {max_impact: privileged}, delegation: {max_impact: write}}
#     tool: {risk_class: destructive}
package guards.impact_within

import data.lib.impact

holds if {
	input.caller.mode == "user_direct"
	impact.covers("privileged", input.tool.risk_class)
}

holds if {
	input.caller.mode == "user_delegated"
	impact.covers(input.caller.agent.max_impact, input.tool.risk_class)
	impact.covers(input.caller.delegation.max_impact, input.tool.risk_class)
}

holds if {
	input.caller.mode == "autonomous"
	impact.covers(input.caller.agent.max_impact, input.tool.risk_class)
}
