package guards.allowed_values_test

import data.config
import data.guards.allowed_values

call(arguments, labels) := {
	"tool": {"server": "reports", "name": "write", "argument_labels": labels},
	"arguments": arguments,
}

region := {"/region": ["x-region"]}

values := {"labels": {"x-region": ["eu", "us"]}, "tools": {"reports/write": {"/kind": ["a"]}}}

test_allowed_values_hold if {
	every value in ["eu", ["us", "eu"]] {
		allowed_values.holds with input as call({"region": value, "kind": "a"}, region)
			with config.guards.allowed_values as values
	}
}

test_other_values_do_not if {
	every wrong in [
		{"region": "cn", "kind": "a"}, {"region": "eu", "kind": "b"}, {"region": ["eu", "cn"], "kind": "a"},
		{"region": "eu"}, {"kind": "a"}, {"region": [], "kind": "a"}, {"region": null, "kind": "a"},
	] {
		not allowed_values.holds with input as call(wrong, region)
			with config.guards.allowed_values as values
	}
}

test_other_tools_and_labels_are_not_restricted if {
	allowed_values.holds with input as object.union(call({}, {"/note": ["text"]}), {"tool": {"name": "other"}})
		with config.guards.allowed_values as values
}

test_by_default_no_tool_reaches_production if {
	every stage in ["development", "test", "staging"] {
		allowed_values.holds with input as call({"to": stage}, {"/to": ["x-environment"]})
	}
	every stage in ["production", "prod", "", "Test"] {
		not allowed_values.holds with input as call({"to": stage}, {"/to": ["x-environment"]})
	}
}

test_what_we_cannot_read_does_not_hold if {
	every wrong in [null, true, "x-region", [], {"/region": "x-region"}, {"/region": [true]}] {
		not allowed_values.holds with input as call({"region": "eu"}, wrong)
	}
	every wrong in [null, true, []] { not allowed_values.holds with input as call(wrong, {}) }
	not allowed_values.holds with input as {"tool": {"argument_labels": {}}, "arguments": {}}
	not allowed_values.holds with input as {}
}

test_without_values_nothing_holds if {
	not allowed_values.holds with input as call({}, {}) with config as {}
	not allowed_values.holds with input as call({}, {}) with config.guards.allowed_values as {"labels": {}}
	not allowed_values.holds with input as call({}, {}) with config.guards.allowed_values as {"tools": {}}
}
