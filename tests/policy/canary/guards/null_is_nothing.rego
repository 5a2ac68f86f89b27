# canary: form lint

# METADATA
# title: Null is nothing
# description: A deliberate mistake. A lost value is taken for none.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {arguments: {force: null}}
#   bad: {arguments: {force: true}}
package guards.null_is_nothing

holds if input.arguments.force == null
