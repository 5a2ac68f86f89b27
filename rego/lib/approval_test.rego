package lib.approval_test

import data.lib.approval

limit := {"from": 70, "stage": {"id": "high"}}

test_below_the_score_nothing_is_added if approval.above(69, limit) == []

test_at_the_score_the_stage_is_added if approval.above(70, limit) == [{"id": "high"}]

test_an_unknown_score_counts_as_high if {
	every odd in [null, "69", true, {}] { approval.above(odd, limit) == [{"id": "high"}] }
}

test_what_is_shared_is_text_in_two_lists if {
	approval.shares(["a", "b"], ["b"])
	not approval.shares(["a"], ["b"])
	not approval.shares([], [])
	not approval.shares(["a", 1], ["a"])
	not approval.shares(["a"], ["a", null])
	not approval.shares("a", ["a"])
}

held := {"permission": "approve", "constraints": [], "expires_at": "2027-01-01T00:00:00Z"}

now := "2026-01-01T00:00:00Z"

test_a_right_to_approve_counts if approval.right(held, ["approve"], now)

test_other_rights_do_not if {
	not approval.right(held, ["review"], now)
	not approval.right(held, "approve", now)
	not approval.right(held, ["approve", 1], now)
	not approval.right(object.union(held, {"permission": "call"}), ["call"], now)
	not approval.right(object.union(held, {"constraints": [{"pointer": "/amount"}]}), ["approve"], now)
	not approval.right(object.union(held, {"expires_at": now}), ["approve"], now)
}

carol := {"id": "carol", "groups": ["finance"], "roles": ["controller"]}

test_an_owner_is_known_by_id_group_or_role if {
	every owner in ["carol", "finance", "controller"] { approval.owns(carol, owner) }
}

test_nobody_owns_what_has_no_owner if {
	every owner in ["", null, "dave", ["carol"]] { not approval.owns(carol, owner) }
	not approval.owns(object.union(carol, {"id": ""}), "")
	not approval.owns(object.union(carol, {"id": null}), null)
	not approval.owns(object.union(carol, {"groups": null}), "carol")
	not approval.owns(object.union(carol, {"roles": null}), "carol")
}

test_agreed_are_different_people_who_said_yes_there if {
	votes := [
		{"person": "a", "stage": "s", "vote": "approve"},
		{"person": "a", "stage": "s", "vote": "approve"},
		{"person": "b", "stage": "t", "vote": "approve"},
		{"person": "c", "stage": "s", "vote": "deny"},
		{"person": null, "stage": "s", "vote": "approve"},
	]
	approval.agreed({"id": "s"}, votes) == {"a"}
	approval.complete({"id": "s", "quorum": 1}, votes)
	not approval.complete({"id": "s", "quorum": 2}, votes)
}

test_what_can_be_counted if {
	approval.countable([{"id": "s", "quorum": 1}], [])
	not approval.countable([{"id": "s", "quorum": 1}, {"id": "t", "quorum": 0}], [])
	not approval.countable([{"id": 1, "quorum": 1}], [])
	not approval.countable([{"id": "s", "quorum": "1"}], [])
	not approval.countable([{"id": "s", "quorum": 1}], {})
	not approval.countable({"a": {"id": "s", "quorum": 1}}, [])
	not approval.countable([], [])
}
