package custom.regal.rules.pdp["named-facts_test"]

import data.custom.pdp.testing
import data.custom.regal.rules.pdp["named-facts"] as rule

caller_words := replace(testing.words, "stage: call", "stage: caller")

test_facts_values_and_words_may_be_named if {
	every text in [
		`holds if input.caller.person.id == "a"`,
		`holds if input.tool.argument_labels[input.arguments.x]`,
		`holds if input.context.mcp_method == "tools/call"`,
		`import data.config
import data.lib.number

holds if number.at_most(input.arguments.x, config.guards.x)`,
		`holds if data.config.guards.x == input.risk.score`,
	] {
		rule.report == set() with input as testing.guard(text)
	}
}

test_what_hides_a_fact_or_is_no_fact_is_reported if {
	every text in [
		`holds if input`,
		`holds if input == {}`,
		`holds if { x := input; x.a }`,
		`holds if { some k; input[k] == 1 }`,
		`holds if { some k, v in input; v == 1 }`,
		`holds if _f(input)

_f(x) if x.a`,
		`holds if input.approval.gates == []`,
		`holds if input["approval"].gates == []`,
		`holds if data.ghost.holds`,
		`holds if data.permits.p.applies`,
		`holds if data`,
		`holds if { x := data; x.config }`,
		`holds if { config := input.a; data[config] }`,
		`import data.manifest

holds if manifest.guards == []`,
		`import input.caller

holds if caller.mode == "x"`,
	] {
		rule.report != set() with input as testing.guard(text)
	}
}

test_a_rule_about_the_caller_reads_nothing_of_the_call if {
	every name in ["arguments", "parsed", "context"] {
		text := concat("", [caller_words, "package guards.x\n\nholds if input.", name, ".a == 1"])
		rule.report != set() with input as testing.file("guards/x.rego", text)
	}
	whole := concat("", [caller_words, "package guards.x\n\nholds if input.caller.mode == \"x\""])
	rule.report == set() with input as testing.file("guards/x.rego", whole)
}

test_no_right_rests_on_what_the_caller_claims if {
	rule.report != set() with input as testing.file("permits/x.rego", "package permits.x\n\napplies if input.context.a == 1")
	rule.report != set() with input as testing.file("duties/x.rego", "package duties.x\n\nduty := {} if input.context.a == 1")
}
