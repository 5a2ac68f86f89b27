# canary: losses

# METADATA
# title: Unevidenced
# description: A deliberate mistake. Evidence that was lost is taken for none.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {risk: {evidence: []}}
#   bad: {risk: {evidence: [{code: use.fast}]}}
package guards.unevidenced

holds if input.risk.evidence == []
