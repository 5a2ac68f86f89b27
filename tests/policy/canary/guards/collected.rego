# canary: form lint

# METADATA
# title: Collected
# description: A deliberate mistake. An empty set is not undefined.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.collected

holds contains "x" if input.tool.name == "x"
