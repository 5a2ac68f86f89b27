# canary: losses

# METADATA
# title: Twins
# description: A deliberate mistake. Two facts that were lost alike are taken for the same.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {caller: {person: {id: a}}, arguments: {for: a}}
#   bad: {caller: {person: {id: a}}, arguments: {for: true}}
package guards.twins

holds if input.tool.server == "pdp.probe"

holds if input.caller.person.id == input.arguments.for
