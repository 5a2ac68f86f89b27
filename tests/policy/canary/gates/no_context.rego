# canary: losses

# METADATA
# title: No context
# description: A deliberate mistake. What the caller left out opens it.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {context: {}}
#   bad: {context: {mcp_method: tools/call}}
package gates.no_context

open if input.context == {}
