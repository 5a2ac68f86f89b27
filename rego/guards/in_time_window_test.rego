package guards.in_time_window_test

import data.config
import data.guards.in_time_window

call(labels, weekday, hour) := {
	"tool": {"server": "payroll", "name": "run", "labels": labels},
	"clock": {"weekday": weekday, "hour": hour, "date": "2026-01-05", "zone": "UTC"},
}

mornings := [{"weekdays": [0, 3], "from_hour": 6, "to_hour": 12}]

values := {
	"labels": {"payday": mornings},
	"tools": {"payroll/run": [{"weekdays": [0], "from_hour": 9, "to_hour": 24}]},
	"frozen": {"labels": {"change": ["2026-01-06"]}, "tools": {"payroll/run": ["2026-01-07"]}},
}

test_by_default_office_hours_are_weekdays_from_eight_to_six if {
	every weekday in [0, 1, 2, 3, 4] {
		every hour in [8, 17] { in_time_window.holds with input as call(["office-hours-only"], weekday, hour) }
		every hour in [7, 18] { not in_time_window.holds with input as call(["office-hours-only"], weekday, hour) }
	}
	every weekday in [5, 6] { not in_time_window.holds with input as call(["office-hours-only"], weekday, 10) }
}

test_other_tools_are_called_at_any_time if {
	in_time_window.holds with input as call([], 6, 3)
	in_time_window.holds with input as call(["office-hours"], 6, 3)
}

test_windows_of_labels_and_of_the_tool_must_all_be_open if {
	in_time_window.holds with input as call(["payday"], 0, 9) with config.guards.in_time_window as values
	every wrong in [[0, 8], [0, 12], [3, 9], [1, 10]] {
		not in_time_window.holds with input as call(["payday"], wrong[0], wrong[1]) with config.guards.in_time_window as values
	}
	in_time_window.holds with input as call([], 0, 12) with config.guards.in_time_window as values
}

on(date, labels) := object.union(call(labels, 0, 10), {"clock": {"date": date}})

test_on_frozen_dates_it_is_not_called if {
	in_time_window.holds with input as on("2026-01-05", ["change"]) with config.guards.in_time_window as values
	in_time_window.holds with input as on("2026-01-06", ["payday"]) with config.guards.in_time_window as values
	not in_time_window.holds with input as on("2026-01-06", ["change"]) with config.guards.in_time_window as values
	not in_time_window.holds with input as on("2026-01-07", []) with config.guards.in_time_window as values
}

test_what_we_cannot_read_does_not_hold if {
	every wrong in [null, true, "payday", {}, [5]] { not in_time_window.holds with input as call(wrong, 0, 10) }
	every part in ["tool", "clock"] { not in_time_window.holds with input as object.remove(call([], 0, 10), [part]) }
	not in_time_window.holds with input as on("today", [])
	not in_time_window.holds with input as call(["office-hours-only"], "0", 10)
	not in_time_window.holds with input as {}
}

test_without_values_nothing_holds if {
	not in_time_window.holds with input as call([], 0, 10) with config as {}
	every part, _ in values {
		not in_time_window.holds with input as call([], 0, 10)
			with config.guards.in_time_window as object.remove(values, [part])
	}
	every part in ["labels", "tools"] {
		not in_time_window.holds with input as call([], 0, 10)
			with config.guards.in_time_window.frozen as object.remove(values.frozen, [part])
	}
}
