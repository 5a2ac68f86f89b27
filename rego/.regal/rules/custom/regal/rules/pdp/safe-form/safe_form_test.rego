package custom.regal.rules.pdp["safe-form_test"]

import data.custom.pdp.testing
import data.custom.regal.rules.pdp["safe-form"] as rule

test_a_conjunction_of_facts_is_in_the_form if {
	every text in [
		`holds if input.a == 1`,
		`holds if { some x in input.list; x == input.y; _part(x) }

_part(x) if x in ["a", "b"]`,
		`holds if { some k, x in input.list; x == k }`,
		`holds if _ready

_ready := true`,
	] {
		rule.report == set() with input as testing.guard(text)
	}
}

test_each_departure_is_reported if {
	every text in [
		`holds if not input.a`,
		`holds if input.a with input as {}`,
		`holds if every x in input.a { x == 1 }`,
		`holds if { x := [y | some y in input.a]; x == [] }`,
		`holds if { x := {y | some y in input.a}; x == set() }`,
		`holds if { x := {y: 1 | some y in input.a}; x == {} }`,
		`holds if { x := input.a in ["b"]; x == false }`,
		`holds if (input.a == 1) == false`,
		`holds if startswith(input.a, "b") == false`,
		`holds if false in [is_string(input.a)]`,
		`holds if _b == false

_b := input.a == 1`,
		`holds if input.a == null`,
		`holds if _x(input.a)

_x(null) := true`,
		`holds if input.a else := true`,
		`default holds := true`,
		`holds contains x if some x in input.a`,
		`holds[x] := 1 if some x in input.a`,
		`holds.a if input.a`,
		`_seen contains x if some x in input.a

holds if _seen`,
		`holds := 0 if input.a`,
		`holds := "no"`,
		`holds := null`,
		`holds(x) if x == input.a`,
		`hold if input.a`,
		`applies if input.a`,
	] {
		rule.report != set() with input as testing.guard(text)
	}
}

test_each_folder_has_its_own_question if {
	rule.report == set() with input as testing.file("permits/x.rego", "package permits.x\n\napplies if input.a\n\nconcerns if input.a")
	rule.report == set() with input as testing.file("gates/x.rego", "package gates.x\n\nopen if input.a")
	rule.report == set() with input as testing.file("duties/x.rego", "package duties.x\n\nduty := {\"type\": \"none\"} if input.a")
	rule.report != set() with input as testing.file("gates/x.rego", "package gates.x\n\nconcerns if input.a")
	rule.report != set() with input as testing.file("duties/x.rego", "package duties.x\n\nholds if input.a")
}

test_lib_and_tests_are_free if {
	rule.report == set() with input as testing.file("lib/x.rego", "package lib.x\n\nf(x) if not x.y")
	rule.report == set() with input as testing.file("guards/x_test.rego", "package guards.x_test\n\ntest_f if not input.y")
}
