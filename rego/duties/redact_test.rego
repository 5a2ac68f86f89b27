package duties.redact_test

import data.config
import data.duties.redact

call(labels) := {"tool": {"server": "crm", "name": "read", "labels": labels}}

values := {"labels": {"personal": ["/ssn"], "secret": ["/token"]}, "tools": {"crm/read": ["/notes"]}}

test_what_labels_and_the_tool_itself_list_is_redacted if {
	duty := redact.duty with input as call(["personal", "public"]) with config.duties.redact as values
	duty == {"type": "redact", "pointers": ["/notes", "/ssn"]}
}

test_a_tool_with_nothing_listed_owes_nothing if {
	duty := redact.duty with input as call(["public"])
	duty == {"type": "none"}
}

test_labels_in_a_form_we_cannot_read_leave_the_duty_undefined if {
	every wrong in [null, true, "personal", {}, [null]] { not redact.duty with input as call(wrong) }
	not redact.duty with input as {"tool": {"server": "crm", "name": "read"}}
	not redact.duty with input as {"tool": {"labels": ["personal"]}}
	not redact.duty with input as {}
}

test_without_values_the_duty_is_undefined if not redact.duty with input as call([]) with config as {}
