# METADATA
# title: Roles
# description: Says whether the roles that come together in one call may.
package lib.role

import data.lib.list

# METADATA
# title: Apart
# description: |
#   Of each pair of lists in `pairs`, `one` and `other`, the roles are in one at most. `held` is a list of lists: the roles
#   of everybody who acts.
apart(held, pairs) if {
	is_array(held)
	every roles in held { list.of_text(roles) }
	is_array(pairs)
	together := [role | some roles in held; some role in roles]
	every pair in pairs { one_sided(together, pair) }
}

# METADATA
# title: One sided
# description: "`roles` has none of `one`, or none of `other`."
# scope: document
one_sided(roles, pair) if {
	list.of_text(pair.other)
	list.contains_none(roles, pair.one)
}

one_sided(roles, pair) if {
	list.of_text(pair.one)
	list.contains_none(roles, pair.other)
}
