package gates.destructive_test

import data.config
import data.gates.destructive

test_what_can_be_undone_needs_no_approval if {
	every class in ["read", "write", "external"] { destructive.open with input as {"tool": {"risk_class": class}} }
}

test_what_cannot_needs_one if {
	every class in ["destructive", "privileged"] { not destructive.open with input as {"tool": {"risk_class": class}} }
}

test_what_is_no_class_needs_one if {
	every wrong in ["", null, true, [], {}] { not destructive.open with input as {"tool": {"risk_class": wrong}} }
	not destructive.open with input as {}
}

test_without_values_everything_needs_one if {
	every wrong in [null, true, "read", {}, []] {
		not destructive.open with input as {"tool": {"risk_class": "read"}}
			with config.gates.destructive.open_for as wrong
	}
}
