# METADATA
# title: The risk is not too high for this tool
# description: The risk score is not above the ceiling that config.yaml sets for the tool's class of impact.
# custom:
#   remedy: Clear the signs the answer lists as evidence, for example by signing in again; then repeat the call.
#   owner: security operations
#   severity: high
#   stage: caller
#   good:
#     tool: {risk_class: write}
#     risk: {score: 12}
#   bad:
#     tool: {risk_class: write}
#     risk: {score: 99}
package guards.risk_ceiling

import data.config
import data.lib.number

holds if number.between(input.risk.score, 0, config.guards.risk_ceiling[input.tool.risk_class])
