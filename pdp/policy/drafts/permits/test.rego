package permits.NAME_test

import data.permits.NAME

own := ["NAME"]

call(mode, labels, roles) := {"caller": {"mode": mode, "person": {"roles": roles}}, "tool": {"labels": labels}}

test_the_role_may_call_what_is_labelled if {
	NAME.applies with input as call("user_direct", own, own)
	NAME.applies with input as call("user_delegated", own, ["staff", "NAME"])
}

test_nobody_else_may if not NAME.applies with input as call("user_direct", own, ["staff"])

test_nothing_else_may_be_called if not NAME.applies with input as call("user_direct", ["another"], own)

test_what_is_missing_or_of_another_type_does_not_help if {
	every wrong in [null, true, "NAME", [], {}] {
		not NAME.applies with input as call("user_direct", own, wrong)
		not NAME.applies with input as call("user_direct", wrong, own)
		not NAME.applies with input as call(wrong, own, own)
	}
	not NAME.applies with input as {}
}
