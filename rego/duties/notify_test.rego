package duties.notify_test

import data.config
import data.duties.notify

call(labels) := {"tool": {"server": "crm", "name": "export", "labels": labels}}

values := {"labels": {"watched": ["security"], "personal": ["privacy", "security"]}, "tools": {"crm/export": ["owner"]}}

test_everybody_whom_labels_and_the_tool_itself_list_is_told_once if {
	duty := notify.duty with input as call(["watched", "personal"]) with config.duties.notify as values
	duty == {"type": "notify", "to": ["owner", "privacy", "security"]}
}

test_by_default_security_is_told_of_watched_tools if {
	duty := notify.duty with input as call(["watched"])
	duty == {"type": "notify", "to": ["security"]}
}

test_a_tool_with_nobody_listed_owes_nothing if {
	every labels in [["public"], []] {
		duty := notify.duty with input as call(labels)
		duty == {"type": "none"}
	}
	nobody := notify.duty with input as call(["watched"]) with config.duties.notify.labels as {"watched": []}
	nobody == {"type": "none"}
}

test_labels_in_a_form_we_cannot_read_leave_the_duty_undefined if {
	every wrong in [null, true, "watched", {}, [null]] { not notify.duty with input as call(wrong) }
	not notify.duty with input as {"tool": {"server": "crm", "name": "export"}}
	not notify.duty with input as {"tool": {"labels": ["watched"]}}
	not notify.duty with input as {}
}

test_without_values_the_duty_is_undefined if {
	every part in ["labels", "tools"] {
		not notify.duty with input as call([]) with config.duties.notify as object.remove(values, [part])
	}
	every odd in [null, true, "security", {}] {
		not notify.duty with input as call(["watched"]) with config.duties.notify.labels as {"watched": odd}
	}
}
