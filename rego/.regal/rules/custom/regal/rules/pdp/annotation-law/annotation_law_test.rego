package custom.regal.rules.pdp["annotation-law_test"]

import data.custom.pdp.testing
import data.custom.regal.rules.pdp["annotation-law"] as rule

below := "package guards.x\n\nholds if input.a == 1"

test_a_rule_with_its_words_keeps_the_law if {
	rule.report == set() with input as testing.file("guards/x.rego", concat("", [testing.words, below]))
}

test_each_missing_word_is_reported if {
	every line in [
		"# title: t\n", "# description: d\n", "#   remedy: r\n", "#   owner: o\n", "#   severity: high\n",
		"#   stage: call\n", "#   good: {a: 1}\n", "#   bad: [{a: 2}, {}]\n",
	] {
		text := concat("", [replace(testing.words, line, ""), below])
		count(rule.report) == 1 with input as testing.file("guards/x.rego", text)
	}
}

test_each_empty_or_unknown_word_is_reported if {
	every pair in [
		["title: t", "title: \"\""], ["description: d", "description: \" \""], ["remedy: r", "remedy: \"\""],
		["owner: o", "owner: 5"], ["severity: high", "severity: huge"], ["stage: call", "stage: later"],
		["good: {a: 1}", "good: yes"], ["bad: [{a: 2}, {}]", "bad: []"], ["bad: [{a: 2}, {}]", "bad: [5]"],
	] {
		text := concat("", [replace(testing.words, pair[0], pair[1]), below])
		count(rule.report) == 1 with input as testing.file("guards/x.rego", text)
	}
}

test_a_file_without_metadata_lacks_everything if {
	count(rule.report) == 8 with input as testing.guard("holds if input.a == 1")
}

test_a_rule_brings_no_schema if {
	text := concat("", [testing.words, "# schemas:\n#   - input: {}\n", below])
	count(rule.report) == 1 with input as testing.file("guards/x.rego", text)
}
