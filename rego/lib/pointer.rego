# METADATA
# title: Pointers
# description: Finds a value in a document by JSON pointer (RFC 6901).
package lib.pointer

# METADATA
# title: At
# description: "The value of `document` at `pointer`; undefined when nothing stands there, or null does."
# scope: document
at(document, pointer) := value if {
	is_object(document)
	startswith(pointer, "/")
	value := object.get(document, names(pointer), null)
	value != null
}

at(document, pointer) := value if {
	regex.match(`/\d`, pointer)
	is_object(document)
	value := object.get(document, positions(pointer), null)
	value != null
}

# METADATA
# title: Names
# description: The segments of a pointer, each the name of a member.
# scope: document
names(pointer) := split(trim_prefix(pointer, "/"), "/") if not contains(pointer, "~")

names(pointer) := unescaped if {
	contains(pointer, "~")
	unescaped := [name |
		some segment in split(trim_prefix(pointer, "/"), "/")
		name := replace(replace(segment, "~1", "/"), "~0", "~")
	]
}

# METADATA
# title: Positions
# description: The same, with whole numbers read as positions in a list.
positions(pointer) := [position(name) | some name in names(pointer)]

# METADATA
# title: Position
# description: A whole number for text like 0 or 12, and the text itself otherwise.
# scope: document
position(name) := to_number(name) if whole(name)

position(name) := name if not whole(name)

# METADATA
# title: Whole
# description: "`name` is a whole number as RFC 6901 writes it: no sign, no leading zero."
whole(name) if regex.match(`^(0|[1-9]\d*)$`, name)
