# METADATA
# title: Text
# description: Compares text, and only text.
package lib.text

# METADATA
# title: One of
# description: "`value` is text and stands in the list `allowed`."
one_of(value, allowed) if {
	is_string(value)
	is_array(allowed)
	value in allowed
}

# METADATA
# title: Starts with
# description: "`value` is text that begins with `prefix`, which is not empty; a path that climbs with `..` does not."
starts_with(value, prefix) if {
	is_string(value)
	is_string(prefix)
	prefix != ""
	startswith(value, prefix)
	not climbs(value)
}

# METADATA
# title: Climbs
# description: "`value` has a path segment `..`, with slashes of either kind, also where any of it is escaped as in a URL, once or twice."
climbs(value) if {
	once := replace(lower(value), "%25", "%")
	dots := replace(once, "%2e", ".")
	slashes := replace(replace(replace(dots, "%2f", "/"), "%5c", "/"), `\`, "/")
	".." in split(slashes, "/")
}

# METADATA
# title: Differs
# description: |
#   Both are text, and not the same, whatever the case and the blanks in it. Text in which something cannot be seen, or
#   joins the letter before it, differs from nothing: a tool may take it away, and reads the other text.
differs(value, other) if bare(value) != bare(other)

# METADATA
# title: Bare
# description: "`value` in lower case and without its spaces; undefined when something else in it cannot be seen."
bare(value) := lower(visible) if {
	visible := replace(value, " ", "")
	regex.match(seen, visible)
}

# METADATA
# title: Seen
# description: The form of text without blanks, control and format characters, and combining marks.
seen := `^[^\x00-\x1f\x7f-\x{a0}\p{Z}\p{Cf}\p{M}]*$`
