# METADATA
# title: The person has let this agent call this tool
# description: |
#   An agent that acts for a person has a delegation from that person, not expired, whose scope covers this tool; behind
#   a chain of agents every link of it covers the tool too. Whoever acts for themselves needs none.
# custom:
#   remedy: The person extends the delegation, an operator the links between the agents, or the person makes the call.
#   owner: identity
#   severity: high
#   stage: caller
#   good:
#     caller: {mode: user_delegated, delegation: {scope: ["payments/*"], expires_at: "2027-01-01T00:00:00Z"}}
#     now: "2026-01-01T00:00:00Z"
#   bad:
#     caller: {mode: user_delegated, delegation: {scope: [], expires_at: "2027-01-01T00:00:00Z"}}
#     now: "2026-01-01T00:00:00Z"
package guards.delegation_covers

import data.lib.list
import data.lib.moment

holds if input.caller.mode in ["user_direct", "autonomous"]

holds if {
	input.caller.mode == "user_delegated"
	list.filled(input.caller.delegation.scope)
	moment.before(input.now, input.caller.delegation.expires_at)
}
