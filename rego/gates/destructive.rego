# METADATA
# title: What cannot be undone needs a human's yes
# description: |
#   Tools whose class of impact is not in the list of config.yaml (by default: destructive and privileged ones) are called
#   only with an approval.
# custom:
#   remedy: Ask for approval, or use a tool whose effect can be undone.
#   owner: security operations
#   severity: high
#   stage: caller
#   good:
#     tool: {risk_class: write}
#   bad:
#     tool: {risk_class: destructive}
package gates.destructive

import data.config
import data.lib.text

open if text.one_of(input.tool.risk_class, config.gates.destructive.open_for)
