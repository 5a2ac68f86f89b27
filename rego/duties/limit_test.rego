package duties.limit_test

import data.config
import data.duties.limit

call(labels) := {"tool": {"server": "crm", "name": "list", "labels": labels}}

values := {
	"labels": {"bulk": {"max_items": 100, "max_bytes": 9}, "small": {"max_items": 10, "max_bytes": 99}},
	"tools": {"crm/list": {"max_items": 50, "max_bytes": 50}},
}

test_the_smallest_of_each_limit_counts if {
	duty := limit.duty with input as call(["bulk", "small"]) with config.duties.limit as values
	duty == {"type": "limit", "max_items": 10, "max_bytes": 9}
}

test_the_tool_itself_may_have_one if {
	duty := limit.duty with input as call(["public"]) with config.duties.limit as values
	duty == {"type": "limit", "max_items": 50, "max_bytes": 50}
}

test_by_default_tools_labelled_as_bulk_are_limited if {
	duty := limit.duty with input as call(["bulk"])
	duty == {"type": "limit", "max_items": 100, "max_bytes": 100000}
}

test_a_tool_with_nothing_listed_owes_nothing if {
	duty := limit.duty with input as call(["public"])
	duty == {"type": "none"}
}

test_a_limit_that_lacks_a_part_leaves_the_duty_undefined if {
	every odd in [{}, {"max_items": 1}, {"max_bytes": 1}, {"max_items": "1", "max_bytes": 1}, null, 5] {
		not limit.duty with input as call(["bulk"]) with config.duties.limit.labels as {"bulk": odd}
	}
}

test_labels_in_a_form_we_cannot_read_leave_the_duty_undefined if {
	every wrong in [null, true, "bulk", {}, [null]] { not limit.duty with input as call(wrong) }
	not limit.duty with input as {"tool": {"server": "crm", "name": "list"}}
	not limit.duty with input as {"tool": {"labels": ["bulk"]}}
	not limit.duty with input as {}
}

test_without_values_the_duty_is_undefined if {
	every part in ["labels", "tools"] {
		not limit.duty with input as call([]) with config.duties.limit as object.remove(values, [part])
	}
}
