# canary: probe

# METADATA
# title: Unlatched
# description: A deliberate mistake. It is open whatever is asked.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package gates.unlatched

open := true
