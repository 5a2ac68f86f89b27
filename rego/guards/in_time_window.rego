# METADATA
# title: The tool is called in its hours, and not in a freeze
# description: |
#   A tool whose labels, or whose name, config.yaml gives windows of time is called inside one of them, and on none of the
#   dates on which its labels or its name are frozen. Times are those of the zone that the PDP is set to.
# custom:
#   remedy: Repeat the call in the hours of the tool, or ask its owner for another window in config.yaml.
#   owner: operations
#   severity: medium
#   stage: caller
#   good:
#     - tool: {server: payroll, name: run, labels: [office-hours-only]}
#       clock: {weekday: 0, hour: 8, date: "2026-01-05", zone: UTC}
#     - tool: {server: payroll, name: show, labels: []}
#       clock: {weekday: 6, hour: 3, date: "2026-01-04", zone: UTC}
#   bad:
#     - tool: {server: payroll, name: run, labels: [office-hours-only]}
#       clock: {weekday: 0, hour: 18, date: "2026-01-05", zone: UTC}
#     - tool: {server: payroll, name: run, labels: [office-hours-only]}
#       clock: {weekday: 5, hour: 9, date: "2026-01-10", zone: UTC}
package guards.in_time_window

import data.config
import data.lib.clock
import data.lib.tool

holds if {
	clock.within_each(input.clock, _windows)
	clock.on_none_of(input.clock, _frozen)
}

_windows := tool.listed(
	input.tool,
	config.guards.in_time_window.labels,
	config.guards.in_time_window.tools,
)

_frozen := tool.listed(
	input.tool,
	config.guards.in_time_window.frozen.labels,
	config.guards.in_time_window.frozen.tools,
)
