# METADATA
# title: Entitlements
# description: What it means to hold a right, and for a call to stay inside it.
package lib.entitlement

import data.lib.moment
import data.lib.number
import data.lib.pointer
import data.lib.text

# METADATA
# title: Live
# description: "`held` is the right to call, and has not expired by `now`."
live(held, now) if {
	held.permission == "call"
	moment.before(now, held.expires_at)
}

# METADATA
# title: Covers
# description: "`arguments` meet every constraint of `held`. A right whose constraints are not a list covers nothing."
covers(held, arguments) if {
	is_object(arguments)
	is_array(held.constraints)
	every constraint in held.constraints { met(constraint, arguments) }
}

# METADATA
# title: Met
# description: "The argument at the constraint's pointer is there and compares with its value as `op` says. Unknown ops are never met."
# scope: document
met(constraint, arguments) if {
	constraint.op == "le"
	number.at_most(pointer.at(arguments, constraint.pointer), constraint.value)
}

met(constraint, arguments) if {
	constraint.op == "ge"
	number.at_least(pointer.at(arguments, constraint.pointer), constraint.value)
}

met(constraint, arguments) if {
	constraint.op == "eq"
	pointer.at(arguments, constraint.pointer) == constraint.value
}

met(constraint, arguments) if {
	constraint.op == "in"
	is_array(constraint.value)
	pointer.at(arguments, constraint.pointer) in constraint.value
}

met(constraint, arguments) if {
	constraint.op == "prefix"
	text.starts_with(pointer.at(arguments, constraint.pointer), constraint.value)
}
