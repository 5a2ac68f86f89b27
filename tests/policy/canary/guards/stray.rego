# canary: place lint

# METADATA
# title: Stray
# description: A deliberate mistake. A second file of one package would add to its rule.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.token_scope

holds if input.tool.name == "x"
