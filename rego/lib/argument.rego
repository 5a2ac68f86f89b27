# METADATA
# title: Arguments
# description: |
#   Words for arguments that carry labels, such as money. The registry says which argument carries which label; where it
#   says so in a form we cannot read, nothing holds. A bounded argument that is missing is out of bounds, because the
#   tool would fill in a value that nobody looked at.
package lib.argument

import data.lib.number
import data.lib.pointer

# METADATA
# title: Well labelled
# description: "`labels` maps pointers to lists of text, as the registry writes it. It may be empty."
well_labelled(labels) if {
	is_object(labels)
	every names in labels {
		is_array(names)
		every name in names { is_string(name) }
	}
}

# METADATA
# title: Labelled at most
# description: "Every argument that carries `label` is a number not above `limit`."
labelled_at_most(arguments, labels, label, limit) if {
	is_object(arguments)
	well_labelled(labels)
	is_string(label)
	is_number(limit)
	every place in [place | some place, names in labels; label in names] {
		number.at_most(pointer.at(arguments, place), limit)
	}
}

# METADATA
# title: Labelled within
# description: "Every argument whose label is a key of `bounds` is a number between the `min` and `max` given there."
labelled_within(arguments, labels, bounds) if {
	is_object(arguments)
	well_labelled(labels)
	is_object(bounds)
	every pair in [[place, bounds[name]] | some place, names in labels; some name in names] {
		number.between(pointer.at(arguments, pair[0]), pair[1].min, pair[1].max)
	}
}

# METADATA
# title: Placed within
# description: "Every argument that `tools` bounds for `tool` is a number between the `min` and `max` given there."
placed_within(arguments, tool, tools) if {
	is_object(arguments)
	is_string(tool)
	is_object(tools)
	every bounds in [bounds | bounds := tools[tool]] {
		is_object(bounds)
		every place, bound in bounds {
			number.between(pointer.at(arguments, place), bound.min, bound.max)
		}
	}
}
