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
	}
	set() == {1 | argument.labelled_at_most(arguments, input.missing, "money", 10)}
	set() == {1 | argument.labelled_within(arguments, input.missing, {})}
}

test_what_are_no_arguments_passes_nothing if {
	every odd in [null, true, 5, "", [], [5]] {
		not argument.labelled_at_most(odd, {}, "money", 10)
		not argument.labelled_within(odd, {}, {})
		not argument.placed_within(odd, "p/t", {})
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
