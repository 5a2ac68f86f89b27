# METADATA
# title: A call out of hours needs a human's yes
# description: |
#   A tool whose labels, or whose name, config.yaml gives windows of time is called outside them only with an approval.
#   Times are those of the zone that the PDP is set to.
# custom:
#   remedy: Ask for approval, or repeat the call in the hours of the tool.
#   owner: operations
#   severity: medium
#   stage: caller
#   good:
#     tool: {server: payments, name: close_day, labels: [office-hours]}
#     clock: {weekday: 0, hour: 8, date: "2026-01-05", zone: UTC}
#   bad:
#     tool: {server: payments, name: close_day, labels: [office-hours]}
#     clock: {weekday: 0, hour: 7, date: "2026-01-05", zone: UTC}
package gates.out_of_hours

import data.config
import data.lib.clock
import data.lib.tool

open if clock.within_each(
	input.clock,
	tool.listed(input.tool, config.gates.out_of_hours.labels, config.gates.out_of_hours.tools),
)
