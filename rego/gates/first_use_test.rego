package gates.first_use_test

import data.config
import data.gates.first_use

call(class, first) := {"tool": {"risk_class": class}, "facts": {"first_use": first}}

test_by_default_what_can_be_undone_needs_no_approval_the_first_time if {
	every class in ["read", "write", "external"] {
		first_use.open with input as call(class, true)
		first_use.open with input as call(class, false)
	}
}

test_what_cannot_needs_one_the_first_time_only if {
	every class in ["destructive", "privileged"] {
		not first_use.open with input as call(class, true)
		first_use.open with input as call(class, false)
	}
}

test_what_is_not_known_to_be_used_before_is_a_first_time if {
	every wrong in [null, true, "false", 0, [], {}] { not first_use.open with input as call("destructive", wrong) }
	not first_use.open with input as {"tool": {"risk_class": "destructive"}}
	every wrong in ["", null, true, [], {}] { not first_use.open with input as call(wrong, true) }
	not first_use.open with input as {}
}

test_without_values_every_first_use_needs_one if {
	every wrong in [null, true, "read", {}, []] {
		not first_use.open with input as call("read", true) with config.gates.first_use.open_for as wrong
	}
}
