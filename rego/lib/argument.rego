# METADATA
# title: Arguments
# description: |
#   Words for arguments that carry labels, such as money. The registry says which argument carries which label; where it
#   says so in a form we cannot read, nothing holds. A bounded argument that is missing is out of bounds, because the
#   tool would fill in a value that nobody looked at.
package lib.argument

import data.lib.list
import data.lib.number
import data.lib.pointer
import data.lib.text

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
# title: Unlabelled
# description: "No argument carries `label`. A rule about a label says this first: most tools have no such argument."
unlabelled(labels, label) if {
	well_labelled(labels)
	is_string(label)
	every names in labels { not label in names }
}

# METADATA
# title: Items
# description: "Text, a number, true or false as a list of one, and a list that is not empty as it is. Nothing else has items."
# scope: document
items(value) := [value] if scalar(value)

items(value) := value if {
	is_array(value)
	value != []
}

# METADATA
# title: Scalar
# description: "`value` is text, a number, true or false."
# scope: document
scalar(value) if is_string(value)

scalar(value) if is_number(value)

scalar(value) if is_boolean(value)

# METADATA
# title: Labelled at most
# description: "Every argument that carries `label` is a number not above `limit`."
labelled_at_most(arguments, labels, label, limit) if {
	is_object(arguments)
	well_labelled(labels)
	is_string(label)
	is_number(limit)
	every place in [place | some place, names in labels; label in names] {
		all_at_most(pointer.at(arguments, place), limit)
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
		all_between(pointer.at(arguments, pair[0]), pair[1].min, pair[1].max)
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
			all_between(pointer.at(arguments, place), bound.min, bound.max)
		}
	}
}

# METADATA
# title: All at most
# description: "`value` is a number not above `limit`, or a list of such numbers that is not empty."
# scope: document
all_at_most(value, limit) if number.at_most(value, limit)

all_at_most(value, limit) if {
	is_array(value)
	value != []
	every item in value { number.at_most(item, limit) }
}

# METADATA
# title: All between
# description: "`value` is a number between `low` and `high`, or a list of such numbers that is not empty."
# scope: document
all_between(value, low, high) if number.between(value, low, high)

all_between(value, low, high) if {
	is_array(value)
	value != []
	every item in value { number.between(item, low, high) }
}

# METADATA
# title: Labelled among
# description: "Every argument whose label is a key of `allowed`, and every item of a list, is one of the values given there."
labelled_among(arguments, labels, allowed) if {
	is_object(arguments)
	well_labelled(labels)
	is_object(allowed)
	every pair in [[place, allowed[name]] | some place, names in labels; some name in names] {
		every value in items(pointer.at(arguments, pair[0])) { among(value, pair[1]) }
	}
}

# METADATA
# title: Placed among
# description: "Every argument that `tools` restricts for `tool`, and every item of a list, is one of the values given there."
placed_among(arguments, tool, tools) if {
	is_object(arguments)
	is_string(tool)
	is_object(tools)
	every allowed in [allowed | allowed := tools[tool]] {
		is_object(allowed)
		every place, values in allowed {
			every value in items(pointer.at(arguments, place)) { among(value, values) }
		}
	}
}

# METADATA
# title: Among
# description: "`value` is text, a number, true or false, and stands in the list `allowed`."
among(value, allowed) if {
	scalar(value)
	is_array(allowed)
	value in allowed
}

# METADATA
# title: Labelled unused
# description: "Every argument that carries `label` is left out, or false."
labelled_unused(arguments, labels, label) if {
	is_object(arguments)
	well_labelled(labels)
	is_string(label)
	every place in [place | some place, names in labels; label in names] { unused(arguments, place) }
}

# METADATA
# title: Placed unused
# description: "Every argument that the pointers in `lists` name, which is a list of lists, is left out, or false."
placed_unused(arguments, lists) if {
	is_object(arguments)
	is_array(lists)
	every places in lists {
		list.of_text(places)
		every place in places { unused(arguments, place) }
	}
}

# METADATA
# title: Unused
# description: "At `place` stands nothing, or false. Null is something: some tools take it for a yes."
# scope: document
unused(arguments, place) if pointer.nowhere(arguments, place)

unused(arguments, place) if pointer.at(arguments, place) == false

# METADATA
# title: Labelled apart
# description: |
#   Every argument that carries `label`, and every item of a list, is text that names nobody in `people`, which is a list of
#   lists of ids.
labelled_apart(arguments, labels, label, people) if {
	is_object(arguments)
	well_labelled(labels)
	is_string(label)
	is_array(people)
	every ids in people { list.of_text(ids) }
	every place in [place | some place, names in labels; label in names] {
		every value in items(pointer.at(arguments, place)) { nobody_of(people, value) }
	}
}

# METADATA
# title: Nobody of
# description: "`value` is text, and no id in the lists of `people`."
nobody_of(people, value) if {
	is_string(value)
	every ids in people {
		every id in ids { text.differs(value, id) }
	}
}
