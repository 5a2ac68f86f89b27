package gates.high_risk_test

import data.config
import data.gates.high_risk

call(class, score) := {"tool": {"risk_class": class}, "risk": {"score": score}}

test_a_score_up_to_the_limit_of_the_class_needs_no_approval if {
	every class, limit in config.gates.high_risk {
		high_risk.open with input as call(class, limit)
		not high_risk.open with input as call(class, limit + 0.01)
	}
}

test_the_gate_asks_before_the_ceiling_denies if {
	every class, limit in config.gates.high_risk { limit < config.guards.risk_ceiling[class] }
}

test_what_is_no_score_or_no_class_needs_one if {
	every wrong in [null, true, "1", [], {}, -1] { not high_risk.open with input as call("read", wrong) }
	every wrong in ["", null, true, [], {}] { not high_risk.open with input as call(wrong, 1) }
	not high_risk.open with input as {}
}

test_without_values_everything_needs_one if not high_risk.open with input as call("read", 1) with config as {}

test_a_call_without_any_risk_needs_no_approval if high_risk.open with input as call("read", 0)
