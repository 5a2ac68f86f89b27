# canary: losses

# METADATA
# title: Any flag
# description: A deliberate mistake. A value of another type is taken for a yes.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {arguments: {confirmed: true}}
#   bad: {arguments: {confirmed: yes please}}
package guards.any_flag

holds if input.tool.server == "pdp.probe"

holds if is_boolean(input.arguments.confirmed)
