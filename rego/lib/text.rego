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
# description: "`value` has a path segment `..`, with slashes of either kind."
climbs(value) if ".." in split(replace(value, `\`, "/"), "/")

# METADATA
# title: Differs
# description: "Both are text, and not the same, whatever the case and the blanks in it."
differs(value, other) if {
	is_string(value)
	is_string(other)
	lower(replace(value, " ", "")) != lower(replace(other, " ", ""))
}
