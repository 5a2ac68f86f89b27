# METADATA
# title: Pointers
# description: Finds a value in a document by JSON pointer (RFC 6901).
package lib.pointer

# METADATA
# title: At
# description: |
#   The value of `document` at `pointer`; undefined when nothing stands there, or null does. A whole number in the pointer
#   is a position in a list or the name of a member; a path that needs some of each finds nothing.
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
	value := object.get(document, [position(name) | some name in names(pointer)], null)
	value != null
}

# METADATA
# title: Names
# description: The segments of a pointer, each the name of a member.
# scope: document
names(pointer) := split(substring(pointer, 1, -1), "/") if not contains(pointer, "~")

names(pointer) := [replace(replace(segment, "~1", "/"), "~0", "~") | some segment in escaped] if {
	contains(pointer, "~")
	escaped := split(substring(pointer, 1, -1), "/")
}

# METADATA
# title: Position
# description: A whole number for text like 0 or 12 (RFC 6901 knows no sign and no leading zero), and the text itself otherwise.
# scope: document
position(name) := to_number(name) if regex.match(whole, name)

position(name) := name if not regex.match(whole, name)

# METADATA
# title: The form of a whole number
whole := `^(0|[1-9]\d*)$`
