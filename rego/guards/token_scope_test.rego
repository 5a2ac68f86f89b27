package guards.token_scope_test

import data.guards.token_scope

call(mode, scopes, required) := {
	"caller": {"mode": mode, "token": {"scopes": scopes}},
	"tool": {"required_scopes": required},
}

modes := ["user_direct", "user_delegated", "autonomous"]

test_a_token_with_every_required_scope_holds if {
	every mode in modes {
		token_scope.holds with input as call(mode, ["a", "b"], ["b"])
		token_scope.holds with input as call(mode, [], [])
	}
}

test_a_token_that_lacks_one_does_not if {
	every mode in modes {
		not token_scope.holds with input as call(mode, ["a"], ["a", "b"])
		not token_scope.holds with input as call(mode, [], ["a"])
	}
}

test_scopes_in_a_form_we_cannot_read_do_not_hold if {
	every wrong in [null, true, {}, "a"] {
		not token_scope.holds with input as call("user_direct", wrong, [])
		not token_scope.holds with input as call("user_direct", ["a"], wrong)
	}
	not token_scope.holds with input as {"caller": {"mode": "user_direct"}, "tool": {"required_scopes": []}}
	not token_scope.holds with input as {"caller": {"mode": "user_direct", "token": {"scopes": []}}}
}

test_no_other_mode_is_known if {
	every mode in ["", "direct", null, true, [], {}] { not token_scope.holds with input as call(mode, ["a"], ["a"]) }
	not token_scope.holds with input as {}
}
