package lib.pointer_test

import data.lib.pointer

document := {"amount": 5, "order": {"items": [{"price": 7}, {"price": 8}], "0": "named"}, "a/b": {"m~n": 9}, "none": null}

test_a_pointer_finds_what_stands_there if {
	pointer.at(document, "/amount") == 5
	pointer.at(document, "/order/items/1/price") == 8
	pointer.at(document, "/order/0") == "named"
	pointer.at(document, "/a~1b/m~0n") == 9
}

test_a_member_named_like_the_escape_is_not_found_in_its_place if {
	not pointer.at({"a~1b": 1}, "/a~1b")
	pointer.at({"a~1b": 1}, "/a~01b") == 1
	pointer.at({"a": [{"b/c": 2}]}, "/a/0/b~1c") == 2
}

test_a_pointer_to_nothing_is_undefined if {
	every nowhere in ["/missing", "/amount/x", "/order/items/2/price", "/order/items/-", "/order/items/01", "/none", "/"] {
		not pointer.at(document, nowhere)
	}
}

test_what_is_no_pointer_finds_nothing if {
	every other in [null, true, 5, "", "amount", [], {}, ["amount"]] { not pointer.at(document, other) }
	set() == {1 | pointer.at(document, input.missing)}
}

test_what_is_no_document_holds_nothing if {
	every other in [null, true, 5, "amount", [], [5], {}] {
		not pointer.at(other, "/amount")
		not pointer.at(other, "/0")
	}
	set() == {1 | pointer.at(input.missing, "/amount")}
}

test_a_pointer_begins_with_a_slash if {
	not pointer.at({"mount": 5}, "amount")
	not pointer.at({"": {"a": 5}}, "x/a")
}

test_nothing_stands_where_there_is_no_member if {
	every pointer_to_nothing in ["/missing", "/amount/x", "/order/items/2", "/order/items/0/size", "/order/1", "/a~1b/x"] {
		pointer.nowhere(document, pointer_to_nothing)
	}
}

test_something_stands_where_a_value_is_even_null if {
	every place in ["/amount", "/none", "/order", "/order/items/0", "/order/0", "/a~1b", "/a~1b/m~0n"] {
		not pointer.nowhere(document, place)
	}
	every value in [false, 0, 1, "", [], {}] { not pointer.nowhere({"x": value}, "/x") }
}

test_what_is_no_pointer_or_no_document_is_not_said_to_hold_nothing if {
	every other in [null, true, 5, "", "amount", [], {}, ["amount"]] { not pointer.nowhere(document, other) }
	every other in [null, true, 5, "amount", [], [5]] { not pointer.nowhere(other, "/missing") }
	set() == {1 | pointer.nowhere(document, input.missing)}
	set() == {1 | pointer.nowhere(input.missing, "/missing")}
}
