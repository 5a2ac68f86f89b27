# canary: form lint

# METADATA
# title: Zero
# description: A deliberate mistake. Zero is not undefined.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.zero

holds := 0 if input.tool.name == "x"
