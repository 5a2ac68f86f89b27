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
	not contains(pointer, "~")
	value := object.get(document, segments(pointer), null)
	value != null
}

at(document, pointer) := found(document, pointer)[0] if regex.match(`~|/\d`, pointer)

# METADATA
# title: Found
# description: What stands in `document` on the paths of a pointer that is not plain.
found(document, pointer) := [value |
	some path in others(pointer)
	value := object.get(document, path, null)
	value != null
]

# METADATA
# title: Nowhere
# description: "`document` is an object in which nothing stands at `pointer`, not even null."
nowhere(document, pointer) if {
	is_object(document)
	paths := array.concat([segments(pointer)], others(pointer))
	every path in paths { object.get(document, path, 0) != object.get(document, path, 1) }
}

# METADATA
# title: Segments
# description: What stands between the slashes of a pointer.
segments(pointer) := split(substring(pointer, 1, -1), "/") if startswith(pointer, "/")

# METADATA
# title: Others
# description: The paths of a pointer that is not plain, with `~` unescaped where it has one, and whole numbers as positions.
others(pointer) := [path |
	names := [replace(replace(segment, "~1", "/"), "~0", "~") | some segment in segments(pointer)]
	some path in [names, [position(name) | some name in names]]
	path != segments(pointer)
]

# METADATA
# title: Position
# description: A whole number for text like 0 or 12 (RFC 6901 knows no sign and no leading zero), and the text itself otherwise.
# scope: document
position(name) := to_number(name) if regex.match(whole, name)

position(name) := name if not regex.match(whole, name)

# METADATA
# title: Whole
# description: The form of a whole number in a pointer.
whole := `^(0|[1-9]\d*)$`
