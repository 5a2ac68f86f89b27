# METADATA
# title: A risky call needs a human's yes
# description: |
#   A risk score above the limit that config.yaml sets for the tool's class of impact asks for an approval. Far above it,
#   `guards.risk_ceiling` denies, and no approval helps.
# custom:
#   remedy: Ask for approval, or clear the signs the answer lists as evidence.
#   owner: security operations
#   severity: medium
#   stage: caller
#   good:
#     tool: {risk_class: write}
#     risk: {score: 12}
#   bad:
#     tool: {risk_class: write}
#     risk: {score: 79}
package gates.high_risk

import data.config
import data.lib.number

open if number.between(input.risk.score, 0, config.gates.high_risk[input.tool.risk_class])
