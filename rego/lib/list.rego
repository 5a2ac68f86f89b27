# METADATA
# title: Lists
# description: Words for lists of text, such as scopes, groups and labels. What is not a list of text is no list here.
package lib.list

# METADATA
# title: Of text
# description: "`items` is a list, and everything in it is text. It may be empty."
of_text(items) if {
	is_array(items)
	every item in items { is_string(item) }
}

# METADATA
# title: Filled
# description: "`items` is a list with at least one entry, and begins with text."
filled(items) if {
	is_array(items)
	is_string(items[0])
}

# METADATA
# title: Empty
# description: "`items` is a list, and there is nothing in it."
empty(items) if {
	is_array(items)
	[item | some item in items] == []
}

# METADATA
# title: Contains all
# description: "Both are lists, `needed` of text, and everything in it is in `held`."
contains_all(held, needed) if {
	is_array(held)
	is_array(needed)
	every item in needed {
		is_string(item)
		item in held
	}
}

# METADATA
# title: Contains any
# description: "Both are lists of text, and something in `wanted` is in `held`."
contains_any(held, wanted) if {
	of_text(held)
	of_text(wanted)
	some item in wanted
	item in held
}

# METADATA
# title: Contains none
# description: "Both are lists of text, and nothing in `forbidden` is in `held`."
contains_none(held, forbidden) if {
	of_text(held)
	of_text(forbidden)
	every item in forbidden { not item in held }
}
