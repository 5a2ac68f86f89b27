# canary: form lint

# METADATA
# title: Null is small
# description: A deliberate mistake. Rego orders null and true below every number.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.null_is_small

holds if input.arguments.amount <= 80
