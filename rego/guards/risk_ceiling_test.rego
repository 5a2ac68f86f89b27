package guards.risk_ceiling_test

import data.config
import data.guards.risk_ceiling

call(class, score) := {"tool": {"risk_class": class}, "risk": {"score": score}}

test_a_score_up_to_the_ceiling_of_the_class_holds if {
	every class, ceiling in config.guards.risk_ceiling {
		risk_ceiling.holds with input as call(class, 0)
		risk_ceiling.holds with input as call(class, ceiling)
		not risk_ceiling.holds with input as call(class, ceiling + 0.01)
	}
}

test_what_is_no_score_does_not_hold if {
	every wrong in [null, true, "1", [], {}, -1] { not risk_ceiling.holds with input as call("read", wrong) }
}

test_an_unknown_class_has_no_ceiling if {
	every wrong in ["", "READ", null, true, [], {}] { not risk_ceiling.holds with input as call(wrong, 1) }
	not risk_ceiling.holds with input as {}
}

test_a_ceiling_that_is_missing_lets_nothing_pass if {
	every wrong in [null, true, "90", [], {}] {
		not risk_ceiling.holds with input as call("read", 1) with config.guards.risk_ceiling.read as wrong
	}
	not risk_ceiling.holds with input as call("read", 1) with config as {}
}
