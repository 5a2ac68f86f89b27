package lib.argument_test

import data.lib.argument

labels := {"/amount": ["money"], "/note": ["text"], "/order/fee": ["money", "fee"]}

arguments := {"amount": 10, "note": "x", "order": {"fee": 3}}

odd_labels := [
	null, true, 5, "money", [], ["money"], {"/amount": "money"}, {"/amount": null}, {"/amount": {"money": true}},
	{"/amount": [null]}, {"/amount": ["money"], "/note": true},
]

test_labelled_arguments_are_at_most_the_limit if {
	argument.labelled_at_most(arguments, labels, "money", 10)
	not argument.labelled_at_most(arguments, labels, "money", 9)
	not argument.labelled_at_most(object.union(arguments, {"order": {"fee": 11}}), labels, "money", 10)
}

test_labelled_arguments_are_within_the_bounds_of_their_label if {
	argument.labelled_within(arguments, labels, {"money": {"min": 3, "max": 10}})
	argument.labelled_within(arguments, labels, {"money": {"min": 3, "max": 10}, "fee": {"min": 3, "max": 3}})
	not argument.labelled_within(arguments, labels, {"money": {"min": 4, "max": 10}})
	not argument.labelled_within(arguments, labels, {"money": {"min": 3, "max": 9}})
	not argument.labelled_within(arguments, labels, {"fee": {"min": 4, "max": 9}})
}

test_placed_arguments_are_within_the_bounds_of_their_tool if {
	tools := {"payments/refund": {"/amount": {"min": 1, "max": 10}}, "payments/other": {"/amount": {"min": 0, "max": 0}}}
	argument.placed_within(arguments, "payments/refund", tools)
	argument.placed_within(arguments, "payments/unknown", tools)
	not argument.placed_within(arguments, "payments/other", tools)
}

test_a_bounded_argument_that_is_missing_or_no_number_is_out_of_bounds if {
	every wrong in [{}, {"amount": null}, {"amount": true}, {"amount": "10"}, {"amount": []}, {"amount": {}}] {
		not argument.labelled_at_most(wrong, {"/amount": ["money"]}, "money", 10)
		not argument.labelled_within(wrong, {"/amount": ["money"]}, {"money": {"min": 0, "max": 10}})
		not argument.placed_within(wrong, "p/t", {"p/t": {"/amount": {"min": 0, "max": 10}}})
	}
}

test_arguments_without_labels_are_not_bounded if {
	argument.labelled_at_most({}, {}, "money", 10)
	argument.labelled_at_most({}, {"/note": ["text"]}, "money", 10)
	argument.labelled_within({}, {}, {"money": {"min": 0, "max": 1}})
	argument.labelled_within(arguments, labels, {})
	argument.placed_within(arguments, "p/t", {})
}

test_labels_in_a_form_we_cannot_read_pass_nothing if {
	every odd in odd_labels {
		not argument.labelled_at_most(arguments, odd, "money", 10)
		not argument.labelled_within(arguments, odd, {"money": {"min": 0, "max": 10}})
		not argument.labelled_among(arguments, odd, {})
		not argument.labelled_unused(arguments, odd, "x-forbidden")
		not argument.labelled_apart(arguments, odd, "beneficiary", [])
		not argument.unlabelled(odd, "path")
	}
	set() == {1 | argument.labelled_at_most(arguments, input.missing, "money", 10)}
	set() == {1 | argument.labelled_within(arguments, input.missing, {})}
}

test_what_are_no_arguments_passes_nothing if {
	every odd in [null, true, 5, "", [], [5]] {
		not argument.labelled_at_most(odd, {}, "money", 10)
		not argument.labelled_within(odd, {}, {})
		not argument.placed_within(odd, "p/t", {})
		not argument.labelled_among(odd, {}, {})
		not argument.placed_among(odd, "p/t", {})
		not argument.labelled_unused(odd, {}, "x-forbidden")
		not argument.placed_unused(odd, [])
		not argument.labelled_apart(odd, {}, "beneficiary", [])
	}
	set() == {1 | argument.labelled_at_most(input.missing, {}, "money", 10)}
	set() == {1 | argument.labelled_within(input.missing, {}, {})}
	set() == {1 | argument.placed_within(input.missing, "p/t", {})}
}

test_bounds_in_a_form_we_cannot_read_pass_nothing if {
	every odd in [null, true, 5, "", [], ["x"]] {
		not argument.labelled_within(arguments, labels, odd)
		not argument.labelled_within(arguments, labels, {"money": odd})
		not argument.labelled_within(arguments, labels, {"money": {"min": 0, "max": odd}})
		not argument.placed_within(arguments, "p/t", odd)
		not argument.placed_within(arguments, "p/t", {"p/t": odd})
		not argument.placed_within(arguments, "p/t", {"p/t": {"/amount": odd}})
	}
	every odd in [null, true, [], {}] {
		not argument.labelled_at_most(arguments, labels, odd, 10)
		not argument.labelled_at_most(arguments, labels, "money", odd)
		not argument.placed_within(arguments, odd, {})
	}
	set() == {1 | argument.labelled_at_most(arguments, {}, input.missing, 10)}
	set() == {1 | argument.labelled_at_most(arguments, {}, "money", input.missing)}
	set() == {1 | argument.labelled_within(arguments, {}, input.missing)}
	set() == {1 | argument.placed_within(arguments, "p/t", input.missing)}
	set() == {1 | argument.placed_within(arguments, input.missing, {})}
}

test_labels_by_key_and_a_limit_that_is_no_number_hold_for_nothing if {
	not argument.well_labelled({"/amount": {"x": "money"}})
	every wrong in [null, true, "10", [], {}] { not argument.labelled_at_most({}, {}, "money", wrong) }
}

test_every_item_of_a_list_is_bounded if {
	lists := {"amount": [3, 10]}
	argument.labelled_at_most(lists, {"/amount": ["money"]}, "money", 10)
	not argument.labelled_at_most(lists, {"/amount": ["money"]}, "money", 9)
	argument.labelled_within(lists, {"/amount": ["money"]}, {"money": {"min": 3, "max": 10}})
	not argument.labelled_within(lists, {"/amount": ["money"]}, {"money": {"min": 4, "max": 10}})
	not argument.labelled_within(lists, {"/amount": ["money"]}, {"money": {"min": 3, "max": 9}})
	argument.placed_within(lists, "p/t", {"p/t": {"/amount": {"min": 3, "max": 10}}})
	not argument.placed_within(lists, "p/t", {"p/t": {"/amount": {"min": 4, "max": 10}}})
	every odd in [[], [3, "x"], [3, null], [[3]]] {
		not argument.labelled_at_most({"amount": odd}, {"/amount": ["money"]}, "money", 10)
		not argument.labelled_within({"amount": odd}, {"/amount": ["money"]}, {"money": {"min": 0, "max": 10}})
		not argument.placed_within({"amount": odd}, "p/t", {"p/t": {"/amount": {"min": 0, "max": 10}}})
	}
}

test_no_argument_carries_the_label if {
	argument.unlabelled({}, "path")
	argument.unlabelled({"/note": ["text"], "/x": []}, "path")
	not argument.unlabelled({"/note": ["text"], "/file": ["x-y", "path"]}, "path")
	every odd in [null, true, 5, [], {}] { not argument.unlabelled({"/file": ["text"]}, odd) }
	set() == {1 | argument.unlabelled(input.missing, "path")}
	set() == {1 | argument.unlabelled({}, input.missing)}
}

regions := {"/region": ["x-region"]}

test_labelled_arguments_have_one_of_the_values if {
	every value in ["eu", 5, true, false, ["eu"], ["eu", 5]] {
		argument.labelled_among({"region": value}, regions, {"x-region": ["eu", 5, true, false]})
	}
	not argument.labelled_among({"region": "cn"}, regions, {"x-region": ["eu", "us"]})
	not argument.labelled_among({"region": ["eu", "cn"]}, regions, {"x-region": ["eu", "us"]})
	not argument.labelled_among({"region": "eu"}, regions, {"x-region": []})
}

test_every_label_of_an_argument_and_every_argument_counts if {
	both := {"/a": ["x-region", "x-short"], "/b": ["x-short"]}
	lists := {"x-region": ["eu", "us"], "x-short": ["eu", "cn"]}
	argument.labelled_among({"a": "eu", "b": "cn"}, both, lists)
	not argument.labelled_among({"a": "us", "b": "cn"}, both, lists)
	not argument.labelled_among({"a": "eu", "b": "us"}, both, lists)
}

test_placed_arguments_have_one_of_the_values if {
	tools := {"p/t": {"/region": ["eu", "us"], "/kind": [1]}, "p/x": {"/region": []}}
	argument.placed_among({"region": "eu", "kind": 1}, "p/t", tools)
	argument.placed_among({"region": ["us", "eu"], "kind": 1}, "p/t", tools)
	argument.placed_among({"region": "cn"}, "p/unknown", tools)
	not argument.placed_among({"region": "cn", "kind": 1}, "p/t", tools)
	not argument.placed_among({"region": "eu", "kind": 2}, "p/t", tools)
	not argument.placed_among({"region": ["eu", "cn"], "kind": 1}, "p/t", tools)
	not argument.placed_among({"region": "eu"}, "p/x", tools)
}

test_what_is_missing_empty_or_no_value_has_none if {
	every wrong in [{}, {"region": null}, {"region": []}, {"region": {}}, {"region": [null]}, {"region": [["eu"]]}] {
		not argument.labelled_among(wrong, regions, {"x-region": [null, [], {}, ["eu"], "eu"]})
		not argument.placed_among(wrong, "p/t", {"p/t": {"/region": [null, [], {}, ["eu"], "eu"]}})
	}
}

test_values_in_a_form_we_cannot_read_allow_nothing if {
	every odd in [null, true, 5, "eu", {"x": "eu"}] {
		not argument.labelled_among({"region": "eu"}, regions, {"x-region": odd})
		not argument.placed_among({"region": "eu"}, "p/t", {"p/t": {"/region": odd}})
	}
	every odd in [null, true, 5, "eu", []] {
		not argument.labelled_among({"region": "eu"}, regions, odd)
		not argument.placed_among({"region": "eu"}, "p/t", odd)
		not argument.placed_among({"region": "eu"}, "p/t", {"p/t": odd})
	}
	every odd in [null, true, 5, [], {}] { not argument.placed_among({}, odd, {}) }
	set() == {1 | argument.labelled_among({}, {}, input.missing)}
	set() == {1 | argument.placed_among({}, "p/t", input.missing)}
	set() == {1 | argument.placed_among({}, input.missing, {})}
}

forced := {"/force": ["x-forbidden"], "/note": ["text"]}

test_a_forbidden_argument_is_left_out_or_false if {
	argument.labelled_unused({"note": "x"}, forced, "x-forbidden")
	argument.labelled_unused({"force": false}, forced, "x-forbidden")
	argument.labelled_unused({"force": true}, forced, "x-other")
	argument.placed_unused({"note": "x", "force": false}, [["/force"], ["/deep/force"]])
	every value in [true, null, 0, 1, "", "no", [], {}, [false]] {
		not argument.labelled_unused({"force": value}, forced, "x-forbidden")
		not argument.placed_unused({"force": value}, [[], ["/note", "/force"]])
	}
	not argument.placed_unused({"deep": {"force": true}}, [["/force"], ["/deep/force"]])
}

test_what_is_forbidden_in_a_form_we_cannot_read_passes_nothing if {
	every odd in [null, true, 5, "x", {}, [5]] {
		not argument.placed_unused({}, [odd])
	}
	every odd in [null, true, 5, [], {}] { not argument.labelled_unused({}, {}, odd) }
	every odd in [null, true, 5, "x", {}] { not argument.placed_unused({}, odd) }
	not argument.placed_unused({}, [["force"]])
	set() == {1 | argument.labelled_unused({}, {}, input.missing)}
	set() == {1 | argument.labelled_unused(input.missing, {}, "x-forbidden")}
	set() == {1 | argument.placed_unused({}, input.missing)}
	set() == {1 | argument.placed_unused(input.missing, [])}
}

paid := {"/employee": ["beneficiary"]}

test_a_labelled_argument_names_nobody_of_those if {
	everyone := [["alice"], ["bot", "dora"]]
	argument.labelled_apart({"employee": "carol"}, paid, "beneficiary", everyone)
	argument.labelled_apart({"employee": ["carol", "dan"]}, paid, "beneficiary", everyone)
	argument.labelled_apart({"employee": "alice"}, paid, "x-other", everyone)
	argument.labelled_apart({"employee": "alice"}, paid, "beneficiary", [])
	every named in ["alice", "Alice ", "bot", "dora", ["carol", "dora"], ["alice"]] {
		not argument.labelled_apart({"employee": named}, paid, "beneficiary", everyone)
	}
	not argument.labelled_apart({"a": "carol", "b": "bot"}, {"/a": ["beneficiary"], "/b": ["beneficiary"]}, "beneficiary", everyone)
}

test_what_is_missing_or_no_text_is_not_known_to_be_somebody_else if {
	every wrong in [{}, {"employee": null}, {"employee": 5}, {"employee": true}, {"employee": []}, {"employee": {}}, {"employee": [5]}] {
		not argument.labelled_apart(wrong, paid, "beneficiary", [["alice"]])
		not argument.labelled_apart(wrong, paid, "beneficiary", [])
	}
}

test_people_in_a_form_we_cannot_read_pass_nothing if {
	every odd in [null, true, 5, "alice", {}, [5], [null]] {
		not argument.labelled_apart({"employee": "carol"}, paid, "beneficiary", [odd])
		not argument.labelled_apart({}, {}, "beneficiary", [["alice"], odd])
	}
	every odd in [null, true, 5, "alice", {}] { not argument.labelled_apart({}, {}, "beneficiary", odd) }
	every odd in [null, true, 5, [], {}] { not argument.labelled_apart({}, {}, odd, []) }
	set() == {1 | argument.labelled_apart({}, {}, "beneficiary", input.missing)}
	set() == {1 | argument.labelled_apart({}, {}, input.missing, [])}
	set() == {1 | argument.labelled_apart({}, input.missing, "beneficiary", [])}
	set() == {1 | argument.labelled_apart(input.missing, {}, "beneficiary", [])}
}
