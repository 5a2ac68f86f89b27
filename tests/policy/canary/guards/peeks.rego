# canary: form lint

# METADATA
# title: Peeks
# description: A deliberate mistake. It says it is about the caller and reads the call.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: caller
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.peeks

holds if input.arguments.amount == 1
