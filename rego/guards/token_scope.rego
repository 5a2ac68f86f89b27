# METADATA
# title: The token was issued for this use
# description: The access token carries every scope that the tool and its server require. Scopes limit; they never give a right.
# custom:
#   remedy: Obtain a token with the scopes the tool requires, and repeat the call.
#   owner: identity
#   severity: high
#   stage: caller
#   good:
#     caller: {mode: user_direct, token: {scopes: [refunds, profile]}}
#     tool: {required_scopes: [refunds]}
#   bad:
#     caller: {mode: user_direct, token: {scopes: [profile]}}
#     tool: {required_scopes: [refunds]}
package guards.token_scope

import data.lib.list

holds if {
	input.caller.mode in ["user_direct", "user_delegated", "autonomous"]
	list.contains_all(input.caller.token.scopes, input.tool.required_scopes)
}
