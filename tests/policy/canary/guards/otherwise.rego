# canary: form lint

# METADATA
# title: Otherwise
# description: A deliberate mistake. It holds when the first test fails.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.otherwise

holds := false if {
	input.tool.name == "x"
} else := true
