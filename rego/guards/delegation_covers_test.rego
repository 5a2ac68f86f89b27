package guards.delegation_covers_test

import data.guards.delegation_covers

call(mode, scope, expires_at) := {
	"caller": {"mode": mode, "delegation": {"scope": scope, "expires_at": expires_at}},
	"now": "2026-01-01T00:00:00Z",
}

test_a_live_delegation_that_covers_the_tool_holds if {
	delegation_covers.holds with input as call("user_delegated", ["payments/*"], "2026-01-01T00:00:01Z")
}

test_a_delegation_that_covers_another_tool_does_not if {
	every scope in [[], null, true, {}, "payments/*"] {
		not delegation_covers.holds with input as call("user_delegated", scope, "9999-12-31T23:59:59Z")
	}
}

test_an_expired_delegation_does_not if {
	every expiry in ["2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "", null, true, [], {}] {
		not delegation_covers.holds with input as call("user_delegated", ["payments/*"], expiry)
	}
}

test_a_missing_delegation_does_not if {
	not delegation_covers.holds with input as {"caller": {"mode": "user_delegated"}, "now": "2026-01-01T00:00:00Z"}
}

test_whoever_acts_for_themselves_needs_none if {
	every mode in ["user_direct", "autonomous"] { delegation_covers.holds with input as {"caller": {"mode": mode}} }
}

test_no_other_mode_is_known if {
	every mode in ["", "delegated", null, true, [], {}] {
		not delegation_covers.holds with input as call(mode, ["payments/*"], "9999-12-31T23:59:59Z")
	}
	not delegation_covers.holds with input as {}
}
