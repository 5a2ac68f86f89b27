# METADATA
# title: Tools
# description: How a tool is named in config.yaml, and what its labels ask for.
package lib.tool

import data.lib.list

# METADATA
# title: Name
# description: "`server/name`, as entitlements and config.yaml write it."
name(tool) := concat("/", [tool.server, tool.name]) if {
	is_string(tool.server)
	is_string(tool.name)
}

# METADATA
# title: Pointers
# description: |
#   What `by_label` lists for the tool's labels and `by_tool` for its name, together and sorted; undefined when its labels
#   are no list.
pointers(tool, by_label, by_tool) := sort(labelled | named) if {
	list.of_text(tool.labels)
	is_object(by_label)
	is_object(by_tool)
	labelled := {pointer | some label in tool.labels; some pointer in by_label[label]}
	called := name(tool)
	named := {pointer | some pointer in by_tool[called]}
}
