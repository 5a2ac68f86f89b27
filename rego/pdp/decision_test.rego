package pdp.decision_test

import data.pdp.decision

manifest := {
	"permits": ["p"],
	"guards": ["g"],
	"gates": ["t"],
	"duties": ["d"],
	"caller": {"permits": [], "guards": ["g"]},
	"revision": "sha256:00",
}

permits := {"p": {"applies": true}}

guards := {"g": {"holds": true}}

gates := {"t": {"open": true}}

duties := {"d": {"duty": {"type": "none"}}}

plain := {
	"effect": "allow",
	"permits": ["permits.p"],
	"broken_guards": [],
	"shut_gates": [],
	"duties": [],
	"revision": "sha256:00",
}

answer(m, p, g, t, d, i) := verdict if {
	verdict := decision.verdict with data.manifest as m
		with data.permits as p
		with data.guards as g
		with data.gates as t
		with data.duties as d
		with input as i
}

not_true := [false, null, 0, 1, "", "no", "true", [], {}, {"x": true}]

test_a_call_with_a_permit_and_nothing_against_it_is_allowed if {
	answer(manifest, permits, guards, gates, duties, {}) == plain
}

test_without_a_permit_it_is_denied if {
	every wrong in not_true {
		verdict := answer(manifest, {"p": {"applies": wrong}}, guards, gates, duties, {})
		verdict == object.union(plain, {"effect": "deny", "permits": []})
	}
	answer(manifest, {}, guards, gates, duties, {}).effect == "deny"
}

test_a_guard_that_is_not_true_denies_and_is_named if {
	every wrong in not_true {
		verdict := answer(manifest, permits, {"g": {"holds": wrong}}, gates, duties, {})
		verdict == object.union(plain, {"effect": "deny", "broken_guards": ["guards.g"]})
	}
	answer(manifest, permits, {}, gates, duties, {}).broken_guards == ["guards.g"]
}

test_a_gate_that_is_not_true_asks_for_approval if {
	every wrong in not_true {
		verdict := answer(manifest, permits, guards, {"t": {"open": wrong}}, duties, {})
		verdict == object.union(plain, {"effect": "needs_approval", "shut_gates": ["gates.t"]})
	}
	answer(manifest, permits, guards, {}, duties, {}).shut_gates == ["gates.t"]
}

test_a_verified_approval_opens_the_gate_it_names if {
	answer(manifest, permits, guards, {}, duties, {"approval": {"gates": ["gates.t"]}}) == plain
}

test_an_approval_of_something_else_opens_nothing if {
	every wrong in [["gates.x"], ["t"], "gates.t", [], {}, null, true, [["gates.t"]]] {
		answer(manifest, permits, guards, {}, duties, {"approval": {"gates": wrong}}).effect == "needs_approval"
	}
}

test_an_approval_stands_in_for_no_permit_and_no_guard if {
	approved := {"approval": {"gates": ["gates.t", "guards.g", "permits.p"]}}
	answer(manifest, {}, guards, {}, duties, approved).effect == "deny"
	answer(manifest, permits, {}, {}, duties, approved).effect == "deny"
}

test_a_duty_that_is_owed_is_passed_on if {
	owed := {"d": {"duty": {"type": "redact", "pointers": ["/a"]}}}
	answer(manifest, permits, guards, gates, owed, {}) == object.union(plain, {"duties": [{"type": "redact", "pointers": ["/a"]}]})
}

test_a_duty_that_cannot_be_worked_out_denies if {
	every wrong in [null, true, "redact", [], {}, {"type": null}, {"type": true}, [{"type": "none"}]] {
		answer(manifest, permits, guards, gates, {"d": {"duty": wrong}}, {}).effect == "deny"
		answer(manifest, permits, guards, {}, {"d": {"duty": wrong}}, {}).effect == "deny"
	}
	answer(manifest, permits, guards, gates, {}, {}).effect == "deny"
}

test_a_manifest_that_is_not_whole_denies if {
	every folder in ["permits", "guards", "gates", "duties"] {
		answer(object.remove(manifest, [folder]), permits, guards, gates, duties, {}).effect == "deny"
		every wrong in [null, true, "p", {}, {folder: true}] {
			answer(object.union(manifest, {folder: wrong}), permits, guards, gates, duties, {}).effect == "deny"
		}
	}
}

test_a_policy_without_permits_or_guards_denies if {
	every folder in ["permits", "guards"] {
		answer(object.union(manifest, {folder: []}), permits, guards, gates, duties, {}).effect == "deny"
	}
}

test_a_rule_that_the_manifest_lists_and_nobody_wrote_denies if {
	listed := object.union(manifest, {"guards": ["g", "ghost"]})
	answer(listed, permits, guards, gates, duties, {}).broken_guards == ["guards.ghost"]
}

test_without_a_manifest_there_is_no_verdict if {
	not decision.verdict with data.manifest as {}
	not decision.visible with data.manifest as {} with input as {"calls": []}
}

look(m, p, g, calls) := seen if {
	seen := decision.visible with data.manifest as m
		with data.permits as p
		with data.guards as g
		with input as {"calls": calls}
}

tool := {"tool": {"server": "s", "name": "n"}}

sight := {"server": "s", "name": "n", "visible": true, "permits": ["permits.p"], "broken_guards": []}

test_a_tool_that_a_permit_concerns_is_visible if {
	look(manifest, {"p": {"concerns": true}}, guards, [tool, tool]) == {"tools": [sight, sight], "revision": "sha256:00"}
}

test_a_permit_about_the_caller_alone_is_asked_whether_it_applies if {
	listed := object.union(manifest, {"caller": {"permits": ["p"], "guards": ["g"]}})
	look(listed, permits, guards, [tool]).tools == [sight]
}

test_a_tool_that_no_permit_concerns_is_hidden if {
	every wrong in [{}, {"p": {"concerns": false}}, {"p": {"concerns": 1}}, {"p": {"applies": true}}] {
		look(manifest, wrong, guards, [tool]).tools == [object.union(sight, {"visible": false, "permits": []})]
	}
}

test_a_broken_guard_about_the_caller_hides_the_tool if {
	hidden := object.union(sight, {"visible": false, "broken_guards": ["guards.g"]})
	every wrong in not_true {
		look(manifest, {"p": {"concerns": true}}, {"g": {"holds": wrong}}, [tool]).tools == [hidden]
	}
}

test_a_manifest_without_guards_about_callers_shows_nothing if {
	every wrong in [{}, {"permits": [], "guards": []}, {"permits": [], "guards": null}, {"permits": [], "guards": "g"}] {
		seen := look(object.union(object.remove(manifest, ["caller"]), {"caller": wrong}), {"p": {"concerns": true}}, guards, [tool])
		seen.tools[0].visible == false
	}
}

test_what_is_no_call_has_no_entry if {
	look(manifest, permits, guards, [{}, null, true, [], {"tool": {"server": "s"}}]).tools == []
}

test_a_manifest_that_lists_rules_by_key_denies if {
	every folder, name in {"permits": "p", "guards": "g", "gates": "t", "duties": "d"} {
		answer(object.union(manifest, {folder: {"x": name}}), permits, guards, gates, duties, {}).effect == "deny"
	}
}

test_what_the_manifest_does_not_list_is_not_asked if {
	more := {"d": {"duty": {"type": "none"}}, "e": {"duty": {"type": "redact", "pointers": ["/a"]}}}
	answer(manifest, permits, guards, gates, more, {}) == plain
	look(manifest, {"q": {"concerns": true, "applies": true}}, guards, [tool]).tools[0].permits == []
}

test_a_permit_about_the_caller_alone_that_does_not_apply_shows_nothing if {
	listed := object.union(manifest, {"caller": {"permits": ["p"], "guards": ["g"]}})
	every wrong in not_true {
		look(listed, {"p": {"applies": wrong}}, guards, [tool]).tools == [object.union(sight, {"visible": false, "permits": []})]
	}
}

test_several_calls_have_a_verdict_each_in_their_order if {
	calls := [{"n": 1}, {"n": 2}, {}]
	said := decision.verdicts with input as {"calls": calls}
		with data.manifest as {"permits": [], "guards": ["g"], "gates": [], "duties": [], "revision": "sha256:r"}
		with data.guards as {"g": {"holds": true}}
	count(said) == 3
	every one in said {
		one.effect == "deny"
		one.revision == "sha256:r"
	}
}

test_each_verdict_is_on_its_own_call if {
	said := decision.verdicts with input as {"calls": [{"approval": {"gates": ["gates.x"]}}, {}]}
		with data.manifest as {"permits": [], "guards": [], "gates": ["x"], "duties": [], "revision": "sha256:r"}
	said[0].shut_gates == []
	said[1].shut_gates == ["gates.x"]
}

test_no_calls_have_no_verdicts if decision.verdicts == [] with input as {"calls": []}

test_duties_come_in_the_order_of_the_manifest if {
	said := decision.verdict with input as {}
		with data.manifest as {"permits": [], "guards": [], "gates": [], "duties": ["b", "a"], "revision": "sha256:r"}
		with data.duties as {"a": {"duty": {"type": "a"}}, "b": {"duty": {"type": "b"}}}
	said.duties == [{"type": "b"}, {"type": "a"}]
}

test_a_permit_that_the_manifest_does_not_list_shows_nothing if {
	listed := {"permits": ["p"], "guards": ["g"], "gates": [], "duties": [], "caller": {"permits": [], "guards": ["g"]}, "revision": "r"}
	said := decision.visible with input as {"calls": [{"tool": {"server": "s", "name": "n"}}]}
		with data.manifest as listed
		with data.permits as {"p": {"concerns": false}, "stray": {"concerns": true}}
		with data.guards as {"g": {"holds": true}}
	said.tools[0].visible == false
}
