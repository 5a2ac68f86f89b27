# METADATA
# title: Parsed
# description: |
#   Arguments labelled `path` or `url` come taken apart, in `input.parsed`, by JSON pointer; of a list, each item under a
#   pointer of its own. What could be read in two ways is not there, so a rule asks with these words, which miss nothing.
package lib.parsed

import data.lib.argument
import data.lib.pointer

# METADATA
# title: Labelled
# description: |
#   What every argument that carries `label` was taken apart into, item by item; undefined when one of them is missing,
#   empty or could not be taken apart.
labelled(arguments, parsed, labels, label) := [entry | some place in places; some entry in entries(arguments, parsed, place)] if {
	is_object(arguments)
	is_object(parsed)
	argument.well_labelled(labels)
	is_string(label)
	places := [place | some place, names in labels; label in names]
	every place in places { is_array(entries(arguments, parsed, place)) }
}

# METADATA
# title: Entries
# description: What the argument at `place` was taken apart into, or each item of it.
# scope: document
entries(arguments, parsed, place) := [parsed[place]] if is_string(pointer.at(arguments, place))

entries(arguments, parsed, place) := [entry | some entry in found] if {
	items := pointer.at(arguments, place)
	is_array(items)
	items != []
	prefix := concat("", [place, "/"])
	found := {pointer.position(trim_prefix(key, prefix)): entry | some key, entry in parsed; startswith(key, prefix)}
	count(found) == count(items)
	every position, _ in items { found[position] }
}
