package lib.entitlement_test

import data.lib.entitlement

now := "2026-01-01T00:00:00Z"

held := {"permission": "call", "constraints": [], "expires_at": "2026-01-01T00:00:01Z"}

limit(op, value) := {"constraints": [{"pointer": "/x", "op": op, "value": value}]}

test_a_right_to_call_is_live_until_it_expires if {
	entitlement.live(held, now)
	not entitlement.live(held, held.expires_at)
	not entitlement.live(object.union(held, {"permission": "approve"}), now)
}

test_a_right_that_is_not_complete_is_not_live if {
	every name in ["permission", "expires_at"] {
		not entitlement.live(object.remove(held, [name]), now)
		every wrong in [null, true, [], {}] { not entitlement.live(object.union(held, {name: wrong}), now) }
	}
	every wrong in [null, true, [], {}, ""] { not entitlement.live(held, wrong) }
	set() == {1 | entitlement.live(held, input.missing)}
	set() == {1 | entitlement.live(input.missing, now)}
}

test_a_right_without_limits_covers_every_call if entitlement.covers(held, {"x": 1})

test_every_limit_must_be_kept if {
	both := {"constraints": [{"pointer": "/x", "op": "le", "value": 5}, {"pointer": "/y", "op": "eq", "value": "a"}]}
	entitlement.covers(both, {"x": 5, "y": "a"})
	not entitlement.covers(both, {"x": 6, "y": "a"})
	not entitlement.covers(both, {"x": 5, "y": "b"})
	not entitlement.covers(both, {"x": 5})
}

test_le_and_ge_include_their_value if {
	entitlement.covers(limit("le", 5), {"x": 5})
	not entitlement.covers(limit("le", 5), {"x": 6})
	entitlement.covers(limit("ge", 5), {"x": 5})
	not entitlement.covers(limit("ge", 5), {"x": 4})
}

test_eq_compares_type_and_value if {
	entitlement.covers(limit("eq", "eu"), {"x": "eu"})
	not entitlement.covers(limit("eq", "eu"), {"x": "us"})
	not entitlement.covers(limit("eq", 1), {"x": "1"})
	not entitlement.covers(limit("eq", null), {"x": null})
}

test_in_takes_a_list if {
	entitlement.covers(limit("in", ["eu", "us"]), {"x": "us"})
	not entitlement.covers(limit("in", ["eu"]), {"x": "us"})
	not entitlement.covers(limit("in", []), {"x": "us"})
	not entitlement.covers(limit("in", {"a": "us"}), {"x": "us"})
	not entitlement.covers(limit("in", [null]), {"x": null})
}

test_prefix_takes_text_that_does_not_climb if {
	entitlement.covers(limit("prefix", "/data/"), {"x": "/data/a"})
	not entitlement.covers(limit("prefix", "/data/"), {"x": "/etc/a"})
	not entitlement.covers(limit("prefix", "/data/"), {"x": "/data/../etc/a"})
}

test_an_unknown_op_is_never_kept if {
	every op in ["lt", "LE", "", null, true, [], {}] { not entitlement.covers(limit(op, 5), {"x": 5}) }
}

test_an_argument_of_another_type_keeps_no_limit if {
	every op in ["le", "ge", "eq", "in", "prefix"] {
		every wrong in [{}, {"x": null}, {"x": true}, {"x": []}, {"x": {}}] {
			not entitlement.covers(limit(op, 5), wrong)
			not entitlement.covers(limit(op, "a"), wrong)
		}
	}
}

test_a_limit_that_cannot_be_read_is_never_kept if {
	every wrong in [null, true, 5, "", {}, [null], [true], [{}], [[]], [{"pointer": "/x", "op": "le"}], [{"op": "le", "value": 5}]] {
		not entitlement.covers({"constraints": wrong}, {"x": 5})
	}
	not entitlement.covers({}, {"x": 5})
	every wrong in [null, true, []] { not entitlement.covers(held, wrong) }
	set() == {1 | entitlement.covers(held, input.missing)}
	set() == {1 | entitlement.covers(input.missing, {"x": 5})}
}
