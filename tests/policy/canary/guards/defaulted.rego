# canary: form lint

# METADATA
# title: Defaulted
# description: A deliberate mistake. It holds when nothing is known.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.defaulted

default holds := true

holds := false if input.tool.name == "x"
