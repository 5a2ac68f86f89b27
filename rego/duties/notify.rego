# METADATA
# title: Tell somebody of the call
# description: |
#   Before the call, the adapter tells everybody whom config.yaml lists for the tool or its labels; when it cannot, the tool
#   does not run. A tool whose labels cannot be read is not called at all.
# custom:
#   remedy: The owner of the tool corrects its labels in the registry.
#   owner: security operations
#   severity: medium
#   stage: call
#   good:
#     tool: {server: crm, name: export_all, labels: [watched]}
#   bad:
#     tool: {server: crm, name: export_all, labels: watched}
package duties.notify

import data.config
import data.lib.list
import data.lib.tool

duty := {"type": "notify", "to": _to} if list.filled(_to)

duty := {"type": "none"} if list.empty(_to)

_to := tool.gathered(input.tool, config.duties.notify.labels, config.duties.notify.tools)
