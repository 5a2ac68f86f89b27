package approvals.eligible_test

import data.approvals.eligible

stage := {
	"roles": ["approver"],
	"groups": ["finance"],
	"rights": ["approve"],
	"relations": ["tool_owner", "agent_owner"],
}

nobody := {"id": "carol", "roles": [], "groups": [], "entitlements": []}

asked(approver) := {
	"stage": stage,
	"approver": object.union(nobody, approver),
	"tool": {"owner": "payments"},
	"agent": {"owners": ["olga"]},
	"now": "2026-01-01T00:00:00Z",
}

right := {"permission": "approve", "constraints": [], "expires_at": "2027-01-01T00:00:00Z"}

test_by_role if eligible.may_vote with input as asked({"roles": ["approver"]})

test_by_group if eligible.may_vote with input as asked({"groups": ["finance"]})

test_by_right if eligible.may_vote with input as asked({"entitlements": [right]})

test_not_by_another_right if not eligible.may_vote with input as asked({"entitlements": [object.union(right, {"permission": "call"})]})

test_by_owning_the_tool if {
	eligible.may_vote with input as asked({"id": "payments"})
	eligible.may_vote with input as asked({"groups": ["payments"]})
}

test_by_owning_the_tool_when_no_agent_calls if {
	asked_by_a_person := object.remove(asked({"id": "payments"}), ["agent"])
	eligible.may_vote with input as asked_by_a_person
}

test_by_owning_the_agent if eligible.may_vote with input as asked({"id": "olga"})

test_owners_that_are_no_list_are_nobody if {
	every odd in ["olga", ["olga", 1], {"x": "olga"}, null] {
		not eligible.may_vote with input as object.union(asked({"id": "olga"}), {"agent": {"owners": odd}})
	}
	not eligible.may_vote with input as object.union(asked({"id": null}), {"agent": {"owners": [null]}})
}

test_not_by_nothing if not eligible.may_vote with input as asked({})

test_not_by_another_relation if {
	narrow := object.union(asked({"id": "olga"}), {"stage": object.union(stage, {"relations": ["tool_owner"]})})
	not eligible.may_vote with input as narrow
	other := object.union(asked({"id": "payments"}), {"stage": object.union(stage, {"relations": ["agent_owner"]})})
	not eligible.may_vote with input as other
}

test_not_on_an_empty_input if not eligible.may_vote with input as {}

test_the_whole_answer_is_one_word_and_the_revision if {
	document := eligible with input as asked({"roles": ["approver"]}) with data.manifest as {"revision": "sha256:r"}
	document == {"may_vote": true, "revision": "sha256:r"}
}
