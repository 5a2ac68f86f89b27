# canary: form lint

# METADATA
# title: Any key
# description: A deliberate mistake. It reads approvals, arguments and everything else.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.any_key

holds if {
	some key
	input[key].name == "x"
}
