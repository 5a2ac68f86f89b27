# METADATA
# title: Numbers
# description: Compares numbers, and only numbers. Rego orders null and true below every number, so a bare `<=` lets them pass.
package lib.number

# METADATA
# title: At most
# description: "`value` and `limit` are numbers, and `value` is not larger."
at_most(value, limit) if {
	is_number(value)
	is_number(limit)
	value <= limit
}

# METADATA
# title: At least
# description: "`value` and `limit` are numbers, and `value` is not smaller."
at_least(value, limit) if {
	is_number(value)
	is_number(limit)
	value >= limit
}

# METADATA
# title: Less
# description: "`value` and `limit` are numbers, and `value` is smaller."
less(value, limit) if {
	is_number(value)
	is_number(limit)
	value < limit
}

# METADATA
# title: Between
# description: "All three are numbers, and `value` lies between `low` and `high`, both included."
between(value, low, high) if {
	is_number(value)
	is_number(low)
	is_number(high)
	low <= value
	value <= high
}

# METADATA
# title: Least
# description: The smallest of what stands under `name` in a list of objects; undefined when there is none, or one is no number.
least(items, name) := min(values) if {
	is_array(items)
	values := [item[name] | some item in items]
	count(values) == count(items)
	every value in values { is_number(value) }
}
