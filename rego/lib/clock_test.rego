package lib.clock_test

import data.lib.clock

monday := {"weekday": 0, "hour": 10, "date": "2026-01-05", "zone": "UTC"}

window := {"weekdays": [0, 4], "from_hour": 8, "to_hour": 18}

odd_values := [null, true, "10", [], {}]

at(changes) := object.union(monday, changes)

test_a_window_includes_its_first_hour_and_not_its_last if {
	every hour in [8, 9, 17] { clock.within(at({"hour": hour}), window) }
	every hour in [0, 7, 18, 23] { not clock.within(at({"hour": hour}), window) }
}

test_a_window_is_on_its_weekdays if {
	every weekday in [0, 4] { clock.within(at({"weekday": weekday}), window) }
	every weekday in [1, 2, 3, 5, 6] { not clock.within(at({"weekday": weekday}), window) }
}

test_a_window_that_ends_before_it_begins_is_never if {
	every hour in [0, 7, 8, 12, 17, 18, 23] { not clock.within(at({"hour": hour}), {"weekdays": [0], "from_hour": 18, "to_hour": 8}) }
}

test_a_clock_we_cannot_read_is_in_no_window if {
	every part in ["weekday", "hour"] {
		not clock.within(object.remove(monday, [part]), window)
		every odd in odd_values { not clock.within(at({part: odd}), {"weekdays": odd_values, "from_hour": 0, "to_hour": 24}) }
	}
	every odd in [null, true, 5, "now", []] { not clock.within(odd, window) }
	set() == {1 | clock.within(input.missing, window)}
}

test_a_window_we_cannot_read_is_never if {
	every part, _ in window {
		not clock.within(monday, object.remove(window, [part]))
		every odd in [null, true, "10", [], {}] { not clock.within(monday, object.union(window, {part: odd})) }
	}
	not clock.within(monday, object.union(window, {"weekdays": {"x": 0}}))
	every odd in [null, true, 5, "always", []] { not clock.within(monday, odd) }
	set() == {1 | clock.within(monday, input.missing)}
}

test_one_window_of_a_list_is_enough if {
	never := {"weekdays": [], "from_hour": 0, "to_hour": 24}
	clock.within_any(monday, [never, window])
	not clock.within_any(monday, [never])
	not clock.within_any(monday, [])
	every odd in [null, true, 5, "x", {}, {"x": window}] { not clock.within_any(monday, odd) }
	set() == {1 | clock.within_any(monday, input.missing)}
}

test_every_list_of_windows_has_one if {
	clock.within_each(monday, [])
	never := {"weekdays": [], "from_hour": 0, "to_hour": 24}
	clock.within_each(monday, [[window], [never, window]])
	not clock.within_each(monday, [[window], [never]])
	not clock.within_each(monday, [[window], []])
}

test_without_a_clock_or_lists_it_is_not_the_time if {
	every odd in [null, true, 5, "x"] {
		not clock.within_each(odd, [])
		not clock.within_each(monday, odd)
	}
	not clock.within_each([], [])
	not clock.within_each(monday, {})
	set() == {1 | clock.within_each(input.missing, [])}
	set() == {1 | clock.within_each(monday, input.missing)}
}

test_a_date_that_is_listed_is_not_free if {
	clock.on_none_of(monday, [])
	clock.on_none_of(monday, [[]])
	clock.on_none_of(monday, [["2026-01-04"], ["2026-01-06"]])
	not clock.on_none_of(monday, [["2026-01-04"], ["2026-01-06", "2026-01-05"]])
}

test_a_date_we_cannot_read_is_not_free if {
	every odd in [null, true, 5, "", "today", "2026-1-5", "2026-01-05T10:00:00Z", "x2026-01-05", [], {}] {
		not clock.on_none_of(at({"date": odd}), [])
	}
	not clock.on_none_of(object.remove(monday, ["date"]), [])
	every odd in [null, true, 5, "x", []] { not clock.on_none_of(odd, []) }
	set() == {1 | clock.on_none_of(input.missing, [])}
}

test_dates_in_a_form_we_cannot_read_leave_no_day_free if {
	every odd in [null, true, 5, "x", {}] {
		not clock.on_none_of(monday, odd)
		not clock.on_none_of(monday, [odd])
	}
	every odd in [null, true, 5, [], {}] { not clock.on_none_of(monday, [[odd]]) }
	set() == {1 | clock.on_none_of(monday, input.missing)}
}
