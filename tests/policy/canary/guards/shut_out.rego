# canary: known

# METADATA
# title: Shut out
# description: A deliberate mistake. It denies the PDP's own probe, which would never be ready.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {server: payments}}
#   bad: {tool: {server: crm}}
package guards.shut_out

holds if input.tool.server == "payments"
