# METADATA
# title: Tools labelled NAME need a human's yes
# description: |
#   A tool that carries the label NAME is called only with an approval.
#   Other tools are none of this rule's business.
# custom:
#   remedy: Ask for approval, or use a tool without the label.
#   owner: security
#   severity: medium
#   stage: caller
#   good: {tool: {labels: [another]}}
#   bad: {tool: {labels: [NAME]}}
package gates.NAME

import data.lib.list

open if list.contains_none(input.tool.labels, ["NAME"])
