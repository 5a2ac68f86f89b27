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
# description: |
#   `arguments` meet every constraint of `held`. A right whose constraints are not a list covers nothing, and a constraint
#   on an argument that is missing is not met.
covers(held, arguments) if {
	is_object(arguments)
	is_array(held.constraints)
	every constraint in held.constraints {
		met(constraint.op, pointer.at(arguments, constraint.pointer), constraint.value)
	}
}

# METADATA
# title: Met
# description: "`value` compares with `limit` as the operation says. An unknown operation is never met."
# scope: document
met("le", value, limit) if number.at_most(value, limit)

met("ge", value, limit) if number.at_least(value, limit)

met("eq", value, limit) if value == limit

met("in", value, limit) if {
	is_array(limit)
	value in limit
}

met("prefix", value, limit) if text.starts_with(value, limit)
