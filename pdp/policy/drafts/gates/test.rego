package gates.NAME_test

import data.gates.NAME

call(labels) := {"tool": {"labels": labels}}

test_a_tool_without_the_label_needs_no_approval if {
	NAME.open with input as call([])
	NAME.open with input as call(["another"])
}

test_a_tool_with_it_needs_one if not NAME.open with input as call(["another", "NAME"])

test_what_is_missing_or_of_another_type_needs_one if {
	every wrong in [null, true, "another", {}] { not NAME.open with input as call(wrong) }
	not NAME.open with input as {}
}
