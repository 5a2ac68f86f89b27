# METADATA
# title: The person holds a right to this call
# description: |
#   The person behind the call holds a right to call this tool, directly or through a group or role, that has not
#   expired, and the arguments stay inside every constraint of that right.
# custom:
#   remedy: Ask the owner of the tool for an entitlement to it, or keep the arguments inside the one you have.
#   owner: identity
#   severity: high
#   stage: call
#   good:
#     caller:
#       mode: user_direct
#       person:
#         entitlements:
#           - {permission: call, constraints: [{pointer: /amount, op: le, value: 100}], expires_at: "2027-01-01T00:00:00Z"}
#     arguments: {amount: 100}
#     now: "2026-01-01T00:00:00Z"
#   bad:
#     caller:
#       mode: user_direct
#       person:
#         entitlements:
#           - {permission: call, constraints: [{pointer: /amount, op: le, value: 100}], expires_at: "2027-01-01T00:00:00Z"}
#     arguments: {amount: 101}
#     now: "2026-01-01T00:00:00Z"
package permits.person_entitled

import data.lib.entitlement

applies if {
	_for_a_person
	some held in input.caller.person.entitlements
	entitlement.live(held, input.now)
	entitlement.covers(held, input.arguments)
}

concerns if {
	_for_a_person
	some held in input.caller.person.entitlements
	entitlement.live(held, input.now)
}

_for_a_person if input.caller.mode in ["user_direct", "user_delegated"]
