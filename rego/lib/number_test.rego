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
