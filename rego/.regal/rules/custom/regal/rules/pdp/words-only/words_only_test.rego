package custom.regal.rules.pdp["words-only_test"]

import data.custom.pdp.testing
import data.custom.regal.rules.pdp["words-only"] as rule

test_words_and_equality_are_all_that_is_called if {
	every text in [
		`holds if input.a == 1`,
		`holds if input.a in ["x"]`,
		`holds if { some x in input.a; startswith(x, "y") }`,
		`import data.lib.number

holds if number.at_most(input.a, 1)`,
		`import data.lib.number as n

holds if n.at_most(input.a, 1)`,
		`holds if data.lib.number.at_most(input.a, 1)`,
		`holds if _is(input.a)

_is(x) if x == 1`,
	] {
		rule.report == set() with input as testing.guard(text)
	}
}

test_what_orders_counts_or_looks_elsewhere_is_reported if {
	every text in [
		`holds if input.arguments.amount <= 80`,
		`holds if input.a < 1`,
		`holds if input.a > 1`,
		`holds if input.a >= 1`,
		`holds if input.a != 1`,
		`holds if 1 = input.a`,
		`holds if count(input.a) == 0`,
		`holds if sum(input.a) == 0`,
		`holds if { x := object.get(input, "a", 0); x == 0 }`,
		`holds if regex.match("x", input.a)`,
		`holds if http.send({}).x`,
		`holds if { x := input.a - input.b; x == set() }`,
		`holds if _is(count(input.a))

_is(x) if x == 1`,
		`import data.permits.y as number

holds if number.at_most(input.a, 1)`,
	] {
		rule.report != set() with input as testing.guard(text)
	}
}

test_lib_is_where_words_are_made if {
	rule.report == set() with input as testing.file("lib/x.rego", "package lib.x\n\nf(x) if x < 1")
}
