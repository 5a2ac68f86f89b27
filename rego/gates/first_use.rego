# METADATA
# title: The first use of a tool needs a human's yes
# description: |
#   A person and agent who were never before allowed to call this tool ask for an approval, unless the tool's class of
#   impact is in the list of config.yaml (by default: what can be undone).
# custom:
#   remedy: Ask for approval. The next calls of this person and agent need none for it.
#   owner: security operations
#   severity: medium
#   stage: caller
#   good:
#     - tool: {risk_class: write}
#       facts: {first_use: true}
#     - tool: {risk_class: destructive}
#       facts: {first_use: false}
#   bad:
#     tool: {risk_class: destructive}
#     facts: {first_use: true}
package gates.first_use

import data.config
import data.lib.text

open if text.one_of(input.tool.risk_class, config.gates.first_use.open_for)

open if input.facts.first_use == false
