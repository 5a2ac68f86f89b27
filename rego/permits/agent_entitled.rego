# METADATA
# title: The autonomous agent holds a right to this call
# description: |
#   An agent that acts for nobody holds a right of its own to call this tool that has not expired, and the arguments stay
#   inside every constraint of that right. When it acts for a person, the person's right counts, never its own.
# custom:
#   remedy: Ask the owner of the tool for an entitlement for the agent, or let the agent act for a person who has one.
#   owner: identity
#   severity: high
#   stage: call
#   good:
#     caller:
#       mode: autonomous
#       agent:
#         entitlements:
#           - {permission: call, constraints: [], expires_at: "2027-01-01T00:00:00Z"}
#     arguments: {}
#     now: "2026-01-01T00:00:00Z"
#   bad:
#     caller:
#       mode: user_delegated
#       agent:
#         entitlements:
#           - {permission: call, constraints: [], expires_at: "2027-01-01T00:00:00Z"}
#     arguments: {}
#     now: "2026-01-01T00:00:00Z"
package permits.agent_entitled

import data.lib.entitlement

applies if {
	input.caller.mode == "autonomous"
	some held in input.caller.agent.entitlements
	entitlement.live(held, input.now)
	entitlement.covers(held, input.arguments)
}

concerns if {
	input.caller.mode == "autonomous"
	some held in input.caller.agent.entitlements
	entitlement.live(held, input.now)
}
