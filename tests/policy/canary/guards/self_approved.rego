# canary: form lint

# METADATA
# title: Self-approved
# description: A deliberate mistake. Approvals are for decision.rego to look at.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.self_approved

holds if "gates.amount" in input.approval.gates
