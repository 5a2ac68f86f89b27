# METADATA
# title: Clock
# description: |
#   Says whether it is a time of day, a weekday or a date that config.yaml names. `input.clock` is in the zone that the PDP is
#   set to; `weekday` 0 is Monday.
package lib.clock

import data.lib.list
import data.lib.number

# METADATA
# title: Within each
# description: "For each list of windows in `lists`, `clock` is within one of them. When there are no lists it is."
within_each(clock, lists) if {
	is_object(clock)
	is_array(lists)
	every windows in lists { within_any(clock, windows) }
}

# METADATA
# title: Within any
# description: "`clock` is within one of `windows`. In an empty list there is none."
within_any(clock, windows) if {
	is_array(windows)
	some window in windows
	within(clock, window)
}

# METADATA
# title: Within
# description: |
#   It is one of the `weekdays` of `window`, and `from_hour` (included) to `to_hour` (not included) of it. A night is two
#   windows.
within(clock, window) if {
	is_number(clock.weekday)
	is_array(window.weekdays)
	clock.weekday in window.weekdays
	number.at_least(clock.hour, window.from_hour)
	number.less(clock.hour, window.to_hour)
}

# METADATA
# title: On none of
# description: "The date of `clock` stands in none of the lists of dates in `lists`."
on_none_of(clock, lists) if {
	regex.match(form, clock.date)
	is_array(lists)
	every dates in lists { list.contains_none(dates, [clock.date]) }
}

# METADATA
# title: Form
# description: The form of a date, such as 2026-01-05.
form := `^\d{4}-\d{2}-\d{2}$`
