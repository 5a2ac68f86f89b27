# METADATA
# title: Limit how much comes back
# description: |
#   The adapter cuts every list of the result to the number of items, and withholds a result of more bytes, that config.yaml
#   gives the tool or its labels; the smallest counts. A tool whose labels cannot be read is not called at all.
# custom:
#   remedy: The owner of the tool corrects its labels in the registry.
#   owner: privacy
#   severity: medium
#   stage: call
#   good:
#     tool: {server: crm, name: list_customers, labels: [bulk]}
#   bad:
#     tool: {server: crm, name: list_customers, labels: bulk}
package duties.limit

import data.config
import data.lib.list
import data.lib.number
import data.lib.tool

duty := {
	"type": "limit",
	"max_items": number.least(_limits, "max_items"),
	"max_bytes": number.least(_limits, "max_bytes"),
}

duty := {"type": "none"} if list.empty(_limits)

_limits := tool.listed(input.tool, config.duties.limit.labels, config.duties.limit.tools)
