# METADATA
# title: The agent may be used for this tool at all
# description: |
#   Every agent has a ceiling: the tools it may ever call, whoever it acts for. It covers this tool, and so does that of
#   every agent that handed the task on. A person who calls without an agent has none.
# custom:
#   remedy: The agent's owner widens its ceiling, or another agent makes the call.
#   owner: identity
#   severity: high
#   stage: caller
#   good:
#     caller: {mode: autonomous, agent: {ceiling: ["payments/*"]}}
#   bad:
#     caller: {mode: autonomous, agent: {ceiling: []}}
package guards.agent_ceiling

import data.lib.list

holds if input.caller.mode == "user_direct"

holds if {
	input.caller.mode in ["user_delegated", "autonomous"]
	list.filled(input.caller.agent.ceiling)
}
