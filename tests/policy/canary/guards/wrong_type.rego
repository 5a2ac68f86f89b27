# canary: schema

# METADATA
# title: Wrong type
# description: A deliberate mistake. A mode is text.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.wrong_type

holds if input.caller.mode == 1
