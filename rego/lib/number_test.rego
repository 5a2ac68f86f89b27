package lib.number_test

import data.lib.number

# What is not a number, but what Rego would order beside numbers.
others := [null, true, false, "5", [], {}, [5], {"a": 5}]

test_a_number_is_at_most_itself_and_what_is_larger if {
	number.at_most(5, 5)
	number.at_most(4.99, 5)
	not number.at_most(5.01, 5)
}

test_a_number_is_at_least_itself_and_what_is_smaller if {
	number.at_least(5, 5)
	number.at_least(5.01, 5)
	not number.at_least(4.99, 5)
}

test_between_includes_both_ends if {
	every value in [1, 2, 3] { number.between(value, 1, 3) }
	every value in [0.99, 3.01] { not number.between(value, 1, 3) }
}

test_only_numbers_compare if {
	every other in others {
		not number.at_most(other, 9)
		not number.at_most(1, other)
		not number.at_least(other, 0)
		not number.at_least(9, other)
		not number.between(other, 0, 9)
		not number.between(5, other, 9)
		not number.between(5, 0, other)
	}
}

test_what_is_missing_does_not_compare if {
	set() == {1 | number.at_most(input.missing, 9)}
	set() == {1 | number.at_most(1, input.missing)}
	set() == {1 | number.at_least(input.missing, 0)}
	set() == {1 | number.at_least(9, input.missing)}
}

test_a_number_is_less_than_what_is_larger if {
	number.less(4.99, 5)
	not number.less(5, 5)
	not number.less(5.01, 5)
}

test_only_numbers_are_less if {
	every other in others {
		not number.less(other, 9)
		not number.less(1, other)
	}
	set() == {1 | number.less(input.missing, 9)}
	set() == {1 | number.less(1, input.missing)}
}

test_the_least_is_the_smallest_under_the_name if {
	number.least([{"a": 3, "b": 1}, {"a": 2, "b": 9}], "a") == 2
	number.least([{"a": 3, "b": 1}, {"a": 2, "b": 9}], "b") == 1
	number.least([{"a": 0}], "a") == 0
}

test_there_is_no_least_of_what_are_no_numbers if {
	every other in others {
		not number.least([{"a": 3}, {"a": other}], "a")
		not number.least([{"b": 3}, other], "b")
		not number.least(other, "a")
	}
	not number.least([{"a": 3}, {"b": 1}], "a")
	not number.least({"x": {"a": 3}}, "a")
	set() == {1 | number.least(input.missing, "a")}
}
