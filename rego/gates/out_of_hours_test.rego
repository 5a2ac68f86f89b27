package gates.out_of_hours_test

import data.config
import data.gates.out_of_hours

call(labels, weekday, hour) := {
	"tool": {"server": "payments", "name": "close", "labels": labels},
	"clock": {"weekday": weekday, "hour": hour, "date": "2026-01-05", "zone": "UTC"},
}

test_in_office_hours_no_approval_is_needed if {
	every weekday in [0, 1, 2, 3, 4] {
		every hour in [8, 17] { out_of_hours.open with input as call(["office-hours"], weekday, hour) }
	}
}

test_outside_of_them_one_is if {
	every hour in [0, 7, 18, 23] { not out_of_hours.open with input as call(["office-hours"], 0, hour) }
	every weekday in [5, 6] { not out_of_hours.open with input as call(["office-hours"], weekday, 10) }
}

test_other_tools_need_none_at_any_time if {
	out_of_hours.open with input as call([], 6, 3)
	out_of_hours.open with input as call(["office-hours-only"], 6, 3)
}

test_one_tool_may_have_hours_of_its_own if {
	hours := {"payments/close": [{"weekdays": [6], "from_hour": 3, "to_hour": 4}]}
	out_of_hours.open with input as call([], 6, 3) with config.gates.out_of_hours.tools as hours
	not out_of_hours.open with input as call([], 6, 4) with config.gates.out_of_hours.tools as hours
	not out_of_hours.open with input as call(["office-hours"], 6, 3) with config.gates.out_of_hours.tools as hours
}

test_what_we_cannot_read_needs_one if {
	every wrong in [null, true, "office-hours", {}, [5]] { not out_of_hours.open with input as call(wrong, 0, 10) }
	every part in ["tool", "clock"] { not out_of_hours.open with input as object.remove(call([], 0, 10), [part]) }
	not out_of_hours.open with input as {}
}

test_without_values_everything_needs_one if {
	not out_of_hours.open with input as call([], 0, 10) with config as {}
	every part in ["labels", "tools"] {
		without := object.remove(config.gates.out_of_hours, [part])
		not out_of_hours.open with input as call([], 0, 10) with config.gates.out_of_hours as without
	}
}
