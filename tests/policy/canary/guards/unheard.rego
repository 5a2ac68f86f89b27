# canary: place lint

# METADATA
# title: Unheard
# description: A deliberate mistake. It tells the linter not to look.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.unheard

# regal ignore:todo-comment
holds if input.tool.name == "x"
