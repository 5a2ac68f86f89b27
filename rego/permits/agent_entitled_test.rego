package permits.agent_entitled_test

import data.permits.agent_entitled

right := {
	"permission": "call",
	"constraints": [{"pointer": "/amount", "op": "le", "value": 100}],
	"expires_at": "2026-06-01T00:00:00Z",
}

call(mode, rights, amount) := {
	"caller": {"mode": mode, "agent": {"entitlements": rights}},
	"arguments": {"amount": amount},
	"now": "2026-01-01T00:00:00Z",
}

test_an_autonomous_agent_with_the_right_may_call if {
	agent_entitled.applies with input as call("autonomous", [right], 100)
}

test_one_right_among_several_is_enough if {
	agent_entitled.applies with input as call("autonomous", [object.union(right, {"constraints": [{}]}), right], 100)
}

test_a_call_beyond_the_right_does_not_apply_but_concerns_the_agent if {
	not agent_entitled.applies with input as call("autonomous", [right], 101)
	agent_entitled.concerns with input as call("autonomous", [right], 101)
}

test_an_expired_right_neither_applies_nor_concerns if {
	late := object.union(call("autonomous", [right], 1), {"now": right.expires_at})
	not agent_entitled.applies with input as late
	not agent_entitled.concerns with input as late
}

test_an_agent_that_acts_for_a_person_has_no_right_of_its_own if {
	every mode in ["user_delegated", "user_direct", "", null, true, [], {}] {
		not agent_entitled.applies with input as call(mode, [right], 1)
		not agent_entitled.concerns with input as call(mode, [right], 1)
	}
}

test_rights_that_are_no_list_of_rights_are_none if {
	every wrong in [null, true, "call", [], {}, [null], [[]], [{}]] {
		not agent_entitled.applies with input as call("autonomous", wrong, 1)
		not agent_entitled.concerns with input as call("autonomous", wrong, 1)
	}
}

test_nobody_is_entitled_to_nothing if {
	not agent_entitled.applies with input as {}
	not agent_entitled.concerns with input as {}
}
