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
# title: Listed
# description: |
#   What `by_label` has for each of the tool's labels, and `by_tool` for its name, as a list; undefined when the tool's
#   labels or its name cannot be read.
listed(tool, by_label, by_tool) := array.concat(labelled, named) if {
	list.of_text(tool.labels)
	is_object(by_label)
	is_object(by_tool)
	called := name(tool)
	labelled := [found | some label in tool.labels; found := by_label[label]]
	named := [found | found := by_tool[called]]
}

# METADATA
# title: Gathered
# description: Everything in the lists that `listed` finds, each once and sorted; undefined when one of them is no list.
gathered(tool, by_label, by_tool) := sort({item | some found in lists; some item in found}) if {
	lists := listed(tool, by_label, by_tool)
	every found in lists { is_array(found) }
}

# METADATA
# title: Setting
# description: |
#   What `section` says for the tool: under its name in `tools`, else under its server in `servers`, else in `others`.
#   The nearest one counts alone.
setting(tool, section) := object.get(section.tools, name(tool), server) if {
	is_object(section.tools)
	is_object(section.servers)
	server := object.get(section.servers, tool.server, section.others)
}
