# canary: losses

# METADATA
# title: Clean token
# description: A deliberate mistake. Scopes that were lost are taken for none.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {caller: {token: {scopes: [read]}}}
#   bad: {caller: {token: {scopes: [admin]}}}
package guards.clean_token

import data.lib.list

holds if list.contains_none(input.caller.token.scopes, ["admin"])
