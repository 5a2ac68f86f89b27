# canary: losses

# METADATA
# title: Unarmed
# description: A deliberate mistake. A call whose arguments were lost is taken for one without.
# custom:
#   remedy: None, it must never be loaded.
#   owner: tests
#   severity: low
#   stage: call
#   good: {tool: {server: archive}, arguments: {}}
#   bad: {tool: {server: archive}, arguments: {all: yes}}
package permits.unarmed

applies if {
	input.tool.server == "archive"
	input.arguments == {}
}

concerns if input.tool.server == "archive"
