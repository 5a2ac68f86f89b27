# METADATA
# title: Results of tools labelled NAME are redacted
# description: |
#   From the result of a tool that carries the label NAME the adapter removes the member /NAME.
#   A tool whose labels cannot be read is not called at all.
# custom:
#   remedy: The owner of the tool corrects its labels in the registry.
#   owner: security
#   severity: medium
#   stage: caller
#   good: {tool: {labels: [NAME]}}
#   bad: {tool: {labels: NAME}}
package duties.NAME

import data.lib.list

duty := {"type": "redact", "pointers": ["/NAME"]} if {
	list.contains_all(input.tool.labels, ["NAME"])
}

duty := {"type": "none"} if list.contains_none(input.tool.labels, ["NAME"])
