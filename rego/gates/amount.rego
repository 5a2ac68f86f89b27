# METADATA
# title: A large amount needs a human's yes
# description: |
#   Every argument labelled as an amount is a number not above the limit of config.yaml; otherwise, and when the amount is
#   missing, an approval is asked for.
# custom:
#   remedy: Ask for approval, or call with a smaller amount.
#   owner: finance
#   severity: medium
#   stage: call
#   good:
#     tool: {argument_labels: {/amount: [money]}}
#     arguments: {amount: 10}
#   bad:
#     tool: {argument_labels: {/amount: [money]}}
#     arguments: {amount: 10000000}
package gates.amount

import data.config
import data.lib.argument

open if argument.labelled_at_most(
	input.arguments,
	input.tool.argument_labels,
	config.gates.amount.label,
	config.gates.amount.open_up_to,
)
