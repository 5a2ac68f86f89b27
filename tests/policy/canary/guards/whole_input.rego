# canary: form lint

# METADATA
# title: Whole input
# description: A deliberate mistake. What it reads is hidden from the checker.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.whole_input

holds if _named(input)

_named(call) if call.tool.nmae == "x"
