# canary: form lint

# METADATA
# title: Every of none
# description: A deliberate mistake. Every one of no entries is fine.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.every_of_none

holds if every group in input.caller.person.groups { group in ["staff", "support"] }
