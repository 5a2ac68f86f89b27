package permits.person_entitled_test

import data.permits.person_entitled

right := {
	"permission": "call",
	"constraints": [{"pointer": "/amount", "op": "le", "value": 100}],
	"expires_at": "2026-06-01T00:00:00Z",
}

call(mode, rights, amount) := {
	"caller": {"mode": mode, "person": {"entitlements": rights}},
	"arguments": {"amount": amount},
	"now": "2026-01-01T00:00:00Z",
}

test_a_person_with_the_right_may_call_directly_and_through_an_agent if {
	every mode in ["user_direct", "user_delegated"] {
		person_entitled.applies with input as call(mode, [right], 100)
	}
}

test_one_right_among_several_is_enough if {
	person_entitled.applies with input as call("user_direct", [object.union(right, {"constraints": [{}]}), right], 100)
}

test_a_call_beyond_the_right_does_not_apply_but_concerns_the_person if {
	not person_entitled.applies with input as call("user_direct", [right], 101)
	person_entitled.concerns with input as call("user_direct", [right], 101)
}

test_an_expired_right_neither_applies_nor_concerns if {
	late := object.union(call("user_direct", [right], 1), {"now": right.expires_at})
	not person_entitled.applies with input as late
	not person_entitled.concerns with input as late
}

test_no_other_mode_has_a_person if {
	every mode in ["autonomous", "USER_DIRECT", "", null, true, [], {}] {
		not person_entitled.applies with input as call(mode, [right], 1)
		not person_entitled.concerns with input as call(mode, [right], 1)
	}
}

test_rights_that_are_no_list_of_rights_are_none if {
	every wrong in [null, true, "call", [], {}, [null], [[]], [{}]] {
		not person_entitled.applies with input as call("user_direct", wrong, 1)
		not person_entitled.concerns with input as call("user_direct", wrong, 1)
	}
}

test_nobody_is_entitled_to_nothing if {
	not person_entitled.applies with input as {}
	not person_entitled.concerns with input as {}
}
