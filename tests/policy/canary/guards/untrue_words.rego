# canary: examples

# METADATA
# title: Untrue words
# description: A deliberate mistake. Its examples say the opposite of the rule.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {server: pdp.probe, name: y}}
#   bad: {tool: {server: pdp.probe, name: known_allow}}
package guards.untrue_words

holds if input.tool.server in ["pdp.probe", "payments", "crm", "files", "hr", "mail", "ops"]
