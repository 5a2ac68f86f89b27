# canary: form lint

# METADATA
# title: Nobody asks
# description: A deliberate mistake. A misspelt rule is a rule nobody asks.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.nobody_asks

hold if input.tool.name == "x"
