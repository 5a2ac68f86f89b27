# canary: capabilities lint

# METADATA
# title: Network
# description: A deliberate mistake. The decision depends on another service.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {name: x}}
#   bad: {tool: {name: y}}
package guards.network

holds if http.send({"method": "GET", "url": "https://policy.example"}).body.holds == true
