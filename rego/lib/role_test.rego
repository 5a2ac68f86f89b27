package lib.role_test

import data.lib.role

pairs := [{"one": ["preparer", "clerk"], "other": ["releaser"]}]

test_roles_of_one_side_are_apart if {
	every roles in [[], ["preparer"], ["preparer", "clerk"], ["releaser"], ["releaser", "reader"]] { role.apart([roles], pairs) }
}

test_roles_of_both_sides_are_not if {
	every roles in [["preparer", "releaser"], ["releaser", "clerk"], ["reader", "clerk", "releaser"]] {
		not role.apart([roles], pairs)
	}
}

test_the_roles_of_all_who_act_count_together if {
	role.apart([["preparer"], ["clerk"]], pairs)
	not role.apart([["preparer"], ["releaser"]], pairs)
	not role.apart([["releaser"], [], ["clerk"]], pairs)
}

test_every_pair_counts if {
	two := array.concat(pairs, [{"one": ["auditor"], "other": ["preparer"]}])
	role.apart([["auditor", "releaser"]], two)
	not role.apart([["auditor", "preparer"]], two)
	not role.apart([["releaser", "preparer"]], two)
	role.apart([["auditor", "preparer"]], [])
}

test_roles_in_a_form_we_cannot_read_are_not_apart if {
	every odd in [null, true, 5, "preparer", {}, [5], [null]] {
		not role.apart([odd], pairs)
		not role.apart([["preparer"], odd], pairs)
		not role.apart([odd], [])
	}
	every odd in [null, true, 5, "x", {}] { not role.apart(odd, pairs) }
	set() == {1 | role.apart(input.missing, [])}
}

test_pairs_in_a_form_we_cannot_read_pass_nothing if {
	every odd in [null, true, 5, "x", {}] {
		not role.apart([[]], odd)
		not role.apart([[]], [odd])
		not role.apart([[]], [{"one": ["a"], "other": odd}])
		not role.apart([[]], [{"one": odd, "other": ["a"]}])
	}
	every odd in [{"one": ["a"]}, {"other": ["a"]}, {"one": ["a"], "other": [5]}, {"one": [5], "other": ["a"]}] {
		not role.apart([[]], [odd])
	}
	set() == {1 | role.apart([], input.missing)}
}
