package guards.NAME_test

import data.guards.NAME

labelled := ["NAME"]

call(labels, groups) := {"tool": {"labels": labels}, "caller": {"person": {"groups": groups}}}

test_a_tool_without_the_label_is_for_everybody if NAME.holds with input as call(["another"], [])

test_a_tool_with_it_is_for_the_group if NAME.holds with input as call(labelled, ["staff", "NAME"])

test_it_is_for_nobody_else if not NAME.holds with input as call(labelled, ["staff"])

test_an_agent_alone_is_in_no_group if not NAME.holds with input as {"tool": {"labels": labelled}}

test_what_is_missing_or_of_another_type_does_not_help if {
	every wrong in [null, true, "NAME", [], {}] { not NAME.holds with input as call(labelled, wrong) }
	every wrong in [null, true, "another", {}] { not NAME.holds with input as call(wrong, []) }
	not NAME.holds with input as {}
}
