# canary: form lint

# METADATA
# title: Default score
# description: A deliberate mistake. A missing score is none.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.default_score

holds if object.get(input.risk, "score", 0) == 0
