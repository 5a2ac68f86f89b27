# canary: law lint

# METADATA
# title: Own schema
# description: A deliberate mistake. It switches the check of its fields off.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
# schemas:
#   - input: {}
package guards.own_schema

holds if input.caler.mode == "user_direct"
