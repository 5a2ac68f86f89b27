package lib.list_test

import data.lib.list

no_lists := [null, true, 5, "ab", {}, {"a": "a"}, {"a"}]

mixed := [[null], [5, "a"], [{}]]

test_a_filled_list_has_text_in_it if {
	list.filled(["a"])
	not list.filled([])
}

test_a_list_contains_all_that_is_needed if {
	list.contains_all(["a", "b"], ["b"])
	list.contains_all(["a"], [])
	not list.contains_all(["a"], ["a", "b"])
	not list.contains_all([], ["a"])
}

test_a_list_contains_none_of_what_is_forbidden if {
	list.contains_none(["a"], ["b"])
	list.contains_none([], ["b"])
	not list.contains_none(["a", "b"], ["b"])
}

test_what_is_no_list_of_text_passes_nothing if {
	every other in no_lists {
		not list.of_text(other)
		not list.filled(other)
		not list.contains_all(other, [])
		not list.contains_all(["a"], other)
		not list.contains_none(other, ["b"])
		not list.contains_none(["a"], other)
	}
}

test_a_list_of_something_else_is_not_one_of_text if {
	every other in array.concat(mixed, [["a", 5]]) {
		not list.of_text(other)
		not list.contains_all(["a", "5"], other)
		not list.contains_none(other, ["b"])
		not list.contains_none(["a"], other)
	}
	every other in mixed { not list.filled(other) }
	not list.contains_all([null, 5], ["a"])
}

test_what_is_missing_passes_nothing if {
	set() == {1 | list.filled(input.missing)}
	set() == {1 | list.contains_all(input.missing, [])}
	set() == {1 | list.contains_all([], input.missing)}
	set() == {1 | list.contains_none(input.missing, ["a"])}
	set() == {1 | list.contains_none([], input.missing)}
}

test_what_is_in_both_but_is_no_text_is_not_contained if {
	not list.contains_all([null, 5], [null])
	not list.contains_all(["a", {}], ["a", {}])
	not list.filled({0: "a"})
}

test_an_empty_list_has_nothing_in_it if {
	list.empty([])
	every filled in [["a"], [null], [false], [[]], [0]] { not list.empty(filled) }
	every other in no_lists { not list.empty(other) }
	set() == {1 | list.empty(input.missing)}
}

test_a_list_contains_any_of_what_is_wanted if {
	list.contains_any(["a", "b"], ["c", "b"])
	not list.contains_any(["a"], ["b", "c"])
	not list.contains_any([], ["a"])
	not list.contains_any(["a"], [])
}

test_what_is_no_list_of_text_contains_nothing_that_is_wanted if {
	every other in no_lists {
		not list.contains_any(other, ["a"])
		not list.contains_any(["a", "b"], other)
	}
	not list.contains_any(["a", 5], ["a"])
	not list.contains_any(["a"], ["a", 5])
	set() == {1 | list.contains_any(input.missing, ["a"])}
	set() == {1 | list.contains_any(["a"], input.missing)}
}
