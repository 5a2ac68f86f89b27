# METADATA
# title: Only the group NAME calls tools labelled NAME
# description: |
#   A tool that carries the label NAME is called for a person in the group NAME.
#   For nobody else, so not by an agent that acts alone. Other tools are none of this rule's business.
# custom:
#   remedy: Ask somebody in the group NAME to make the call, or ask to join it.
#   owner: security
#   severity: high
#   stage: caller
#   good:
#     - {tool: {labels: [another]}}
#     - {tool: {labels: [NAME]}, caller: {person: {groups: [NAME]}}}
#   bad:
#     - {tool: {labels: [NAME]}, caller: {person: {groups: [another]}}}
#     - {tool: {labels: [NAME]}}
package guards.NAME

import data.lib.list

holds if list.contains_none(input.tool.labels, ["NAME"])

holds if list.contains_all(input.caller.person.groups, ["NAME"])
