package guards.arguments_in_bounds_test

import data.config
import data.guards.arguments_in_bounds

call(arguments, labels) := {
	"tool": {"server": "payments", "name": "refund", "argument_labels": labels},
	"arguments": arguments,
}

money := {"/amount": ["money"]}

bounds := {"labels": {"money": {"min": 0, "max": 100}}, "tools": {"payments/refund": {"/count": {"min": 1, "max": 2}}}}

test_arguments_inside_their_bounds_hold if {
	arguments_in_bounds.holds with input as call({"amount": 100, "count": 2}, money)
		with config.guards.arguments_in_bounds as bounds
}

test_arguments_outside_do_not if {
	every wrong in [{"amount": 101, "count": 2}, {"amount": -1, "count": 2}, {"amount": 1, "count": 3}, {"amount": 1}, {"count": 1}] {
		not arguments_in_bounds.holds with input as call(wrong, money)
			with config.guards.arguments_in_bounds as bounds
	}
}

test_other_tools_and_labels_are_not_bounded if {
	arguments_in_bounds.holds with input as object.union(call({}, {"/note": ["text"]}), {"tool": {"name": "other"}})
		with config.guards.arguments_in_bounds as bounds
}

test_labels_in_a_form_we_cannot_read_do_not_hold if {
	every wrong in [null, true, "money", [], {"/amount": "money"}, {"/amount": [true]}] {
		not arguments_in_bounds.holds with input as call({"amount": 1}, wrong)
	}
	not arguments_in_bounds.holds with input as {"tool": {"server": "a", "name": "b"}, "arguments": {}}
}

test_what_is_no_tool_or_no_arguments_does_not_hold if {
	every wrong in [null, true, []] { not arguments_in_bounds.holds with input as call(wrong, {}) }
	not arguments_in_bounds.holds with input as {"tool": {"argument_labels": {}}, "arguments": {}}
	not arguments_in_bounds.holds with input as {}
}

test_without_values_nothing_holds if {
	not arguments_in_bounds.holds with input as call({}, {}) with config as {}
}
