# canary: known

# METADATA
# title: All people
# description: A deliberate mistake. Whoever is a person holds a right.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {caller: {mode: user_direct}}
#   bad: {caller: {mode: autonomous}}
package permits.all_people

applies if input.caller.mode == "user_direct"

concerns if input.caller.mode == "user_direct"
