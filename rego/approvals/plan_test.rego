package approvals.plan_test

import data.approvals.plan

call := {"tool": {"risk_class": "write"}, "risk": {"score": 10}}

risky := {"tool": {"risk_class": "write"}, "risk": {"score": 70}}

grave := {"tool": {"risk_class": "destructive"}, "risk": {"score": 10}}

names(stages) := [stage.id | some stage in stages]

test_a_change_passes_one_stage if names(plan.stages) == ["peer"] with input as call

test_what_cannot_be_undone_passes_two if names(plan.stages) == ["peer", "security"] with input as grave

test_high_risk_adds_a_stage if names(plan.stages) == ["peer", "high_risk"] with input as risky

test_an_unknown_class_has_no_stages if not plan.stages with input as {"tool": {"risk_class": "odd"}, "risk": {"score": 1}}

test_without_a_score_the_stage_for_high_risk_is_added if {
	names(plan.stages) == ["peer", "high_risk"] with input as {"tool": {"risk_class": "read"}, "risk": {"score": null}}
}

test_the_whole_plan_is_what_its_reader_expects if {
	document := plan with input as call with data.manifest as {"revision": "sha256:r"}
	object.keys(document) == {
		"stages", "decide_within_s", "execute_within_s",
		"remind_after_s", "escalate_after_s", "uses", "justification", "revision",
	}
	document.revision == "sha256:r"
	plan.uses == 1 with input as call
	plan.justification == false with input as call
}

test_reasons_are_demanded_where_it_matters if plan.justification == true with input as grave

values := {
	"stages": {"write": []},
	"high_risk": {"from": 100, "stage": {}},
	"decide_within_s": 11,
	"execute_within_s": 12,
	"remind_after_s": 13,
	"escalate_after_s": 14,
	"uses": {"write": 15},
	"justification": {"write": "yes"},
}

test_every_number_is_that_of_the_values if {
	document := plan with input as call with data.config.approvals as values with data.manifest as {"revision": "r"}
	document == {
		"stages": [],
		"decide_within_s": 11,
		"execute_within_s": 12,
		"remind_after_s": 13,
		"escalate_after_s": 14,
		"uses": 15,
		"justification": "yes",
		"revision": "r",
	}
}
