package approvals.quorum_test

import data.approvals.quorum

stages := [{"id": "peer", "quorum": 2}, {"id": "security", "quorum": 1}]

yes(person, stage) := {"person": person, "stage": stage, "vote": "approve"}

no(person, stage) := {"person": person, "stage": stage, "vote": "deny"}

asked(votes) := {"stages": stages, "votes": votes}

everyone := [yes("a", "peer"), yes("b", "peer"), yes("c", "security")]

test_enough_in_every_stage if quorum.state == "satisfied" with input as asked(everyone)

test_one_no_ends_it if quorum.state == "rejected" with input as asked(array.concat(everyone, [no("d", "peer")]))

test_too_few_is_open if {
	quorum.state == "open" with input as asked([yes("a", "peer"), yes("c", "security")])
	quorum.missing == [{"stage": "peer", "votes": 1}] with input as asked([yes("a", "peer"), yes("c", "security")])
}

test_nobody_counts_twice if quorum.state == "open" with input as asked([yes("a", "peer"), yes("a", "peer"), yes("c", "security")])

test_no_stage_stands_in_for_another if quorum.state == "open" with input as asked([yes("a", "peer"), yes("b", "peer"), yes("c", "peer")])

test_nothing_is_missing_in_the_end if quorum.missing == [] with input as asked(everyone)

test_without_stages_it_is_open if quorum.state == "open" with input as {"stages": [], "votes": everyone}

test_stages_that_cannot_be_counted_leave_it_open if {
	every odd in [[{"id": "peer", "quorum": 0}], [{"id": "peer", "quorum": null}], [{"quorum": 1}], [{"id": "peer"}], {}, null] {
		quorum.state == "open" with input as {"stages": odd, "votes": everyone}
	}
}

test_votes_that_are_no_list_leave_it_open if {
	quorum.state == "open" with input as {"stages": [{"id": "peer", "quorum": 1}], "votes": {"x": yes("a", "peer")}}
}

test_nothing_at_all_is_open if quorum.state == "open" with input as {}

test_the_whole_answer_is_what_its_reader_expects if {
	document := quorum with input as asked(everyone) with data.manifest as {"revision": "sha256:r"}
	document == {"state": "satisfied", "missing": [], "revision": "sha256:r"}
}
