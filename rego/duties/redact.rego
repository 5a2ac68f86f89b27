# METADATA
# title: Redact what the caller should not see
# description: |
#   The adapter removes from the tool's result what config.yaml lists for the tool's labels and for the tool itself. A tool
#   whose labels cannot be read is not called at all.
# custom:
#   remedy: The owner of the tool corrects its labels in the registry.
#   owner: privacy
#   severity: high
#   stage: call
#   good:
#     tool: {server: crm, name: read_customer, labels: [personal]}
#   bad:
#     tool: {server: crm, name: read_customer, labels: personal}
package duties.redact

import data.config
import data.lib.list
import data.lib.tool

duty := {"type": "redact", "pointers": _pointers} if list.filled(_pointers)

duty := {"type": "none"} if _pointers == []

_pointers := tool.gathered(input.tool, config.duties.redact.labels, config.duties.redact.tools)
