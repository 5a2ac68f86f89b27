package duties.NAME_test

import data.duties.NAME

call(labels) := {"tool": {"labels": labels}}

test_a_tool_with_the_label_is_redacted if {
	duty := NAME.duty with input as call(["another", "NAME"])
	duty == {"type": "redact", "pointers": ["/NAME"]}
}

test_a_tool_without_it_owes_nothing if {
	every labels in [[], ["another"]] {
		duty := NAME.duty with input as call(labels)
		duty == {"type": "none"}
	}
}

test_labels_we_cannot_read_leave_the_duty_undefined if {
	every wrong in [null, true, "NAME", {}] { not NAME.duty with input as call(wrong) }
	not NAME.duty with input as {}
}
