# canary: form lint

# METADATA
# title: Ghost
# description: A deliberate mistake. What it asks exists as data only, or not at all.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.ghost

holds if data.ghost.holds
