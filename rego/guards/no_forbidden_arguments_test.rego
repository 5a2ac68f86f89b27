package guards.no_forbidden_arguments_test

import data.config
import data.guards.no_forbidden_arguments

call(arguments, labels) := {
	"tool": {"server": "git", "name": "push", "labels": ["shell"], "argument_labels": labels},
	"arguments": arguments,
}

force := {"/force": ["x-forbidden"]}

values := {"label": "x-no", "labels": {"shell": ["/sudo"]}, "tools": {"git/push": ["/no_verify"]}}

test_by_default_what_is_labelled_as_forbidden_is_not_used if {
	no_forbidden_arguments.holds with input as call({"branch": "main"}, force)
	no_forbidden_arguments.holds with input as call({"force": false}, force)
	no_forbidden_arguments.holds with input as call({"force": true}, {"/force": ["text"]})
	every value in [true, null, 0, "", "yes", [], {}] {
		not no_forbidden_arguments.holds with input as call({"force": value}, force)
	}
}

test_what_the_values_list_is_not_used if {
	labels := {"/force": ["x-no"]}
	no_forbidden_arguments.holds with input as call({"force": false, "sudo": false, "x": true}, labels)
		with config.guards.no_forbidden_arguments as values
	every wrong in [{"force": true}, {"sudo": "root"}, {"no_verify": true}] {
		not no_forbidden_arguments.holds with input as call(wrong, labels)
			with config.guards.no_forbidden_arguments as values
	}
}

test_other_tools_are_not_restricted if {
	other := {"tool": {"server": "x", "name": "y", "labels": ["z"], "argument_labels": {}}, "arguments": {"sudo": 1, "no_verify": 1}}
	no_forbidden_arguments.holds with input as other with config.guards.no_forbidden_arguments as values
}

test_what_we_cannot_read_does_not_hold if {
	every wrong in [null, true, "x-forbidden", [], {"/force": "x-forbidden"}, {"/force": [true]}] {
		not no_forbidden_arguments.holds with input as call({}, wrong)
	}
	every wrong in [null, true, []] { not no_forbidden_arguments.holds with input as call(wrong, {}) }
	every wrong in [null, true, "shell", {}, [5]] {
		not no_forbidden_arguments.holds with input as object.union(call({}, {}), {"tool": {"labels": wrong}})
	}
	not no_forbidden_arguments.holds with input as {"tool": {"argument_labels": {}, "labels": []}, "arguments": {}}
	not no_forbidden_arguments.holds with input as {}
}

test_without_values_nothing_holds if {
	every part, _ in values {
		not no_forbidden_arguments.holds with input as call({}, {})
			with config.guards.no_forbidden_arguments as object.remove(values, [part])
	}
}
