# canary: losses

# METADATA
# title: Bare flag
# description: A deliberate mistake. Rego takes everything but false for a yes, a lost flag too.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {arguments: {sure: true}}
#   bad: {arguments: {sure: false}}
package guards.bare_flag

holds if input.tool.server == "pdp.probe"

holds if input.arguments.sure
