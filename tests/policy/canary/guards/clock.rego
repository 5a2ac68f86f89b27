# canary: capabilities lint

# METADATA
# title: Clock
# description: A deliberate mistake. The decision could not be replayed.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.clock

holds if time.now_ns() == 0
