# canary: losses

# METADATA
# title: No chain of type
# description: A deliberate mistake. A rule for lists is met by what is no list of text.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {caller: {session: {amr: []}}}
#   bad: {caller: {session: {amr: [sms]}}}
package guards.no_chain_of_type

holds if input.caller.session.amr == []
