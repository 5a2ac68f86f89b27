package guards.impact_within_test

import data.guards.impact_within

call(mode, agent, delegation, class) := {
	"caller": {"mode": mode, "agent": {"max_impact": agent}, "delegation": {"max_impact": delegation}},
	"tool": {"risk_class": class},
}

odd := ["", "WRITE", null, true, [], {}]

test_both_agent_and_delegation_must_reach_as_far_as_the_tool if {
	impact_within.holds with input as call("user_delegated", "write", "write", "write")
	not impact_within.holds with input as call("user_delegated", "write", "read", "write")
	not impact_within.holds with input as call("user_delegated", "read", "write", "write")
}

test_an_autonomous_agent_must_reach_as_far_as_the_tool if {
	impact_within.holds with input as call("autonomous", "external", "read", "write")
	not impact_within.holds with input as call("autonomous", "read", "privileged", "write")
}

test_a_person_without_an_agent_may_use_a_tool_of_any_known_class if {
	every class in ["read", "write", "external", "destructive", "privileged"] {
		impact_within.holds with input as {"caller": {"mode": "user_direct"}, "tool": {"risk_class": class}}
	}
}

test_no_unknown_class_is_within_anything if {
	every class in odd {
		every mode in ["user_direct", "user_delegated", "autonomous"] {
			not impact_within.holds with input as call(mode, "privileged", "privileged", class)
		}
		not impact_within.holds with input as call("user_delegated", class, "privileged", "read")
		not impact_within.holds with input as call("user_delegated", "privileged", class, "read")
		not impact_within.holds with input as call("autonomous", class, "privileged", "read")
	}
}

test_no_other_mode_is_known if {
	every mode in odd { not impact_within.holds with input as call(mode, "privileged", "privileged", "read") }
	not impact_within.holds with input as {}
}
