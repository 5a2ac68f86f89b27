package guards.agent_ceiling_test

import data.guards.agent_ceiling

call(mode, ceiling) := {"caller": {"mode": mode, "agent": {"ceiling": ceiling}}}

test_an_agent_whose_ceiling_covers_the_tool_holds if {
	every mode in ["user_delegated", "autonomous"] { agent_ceiling.holds with input as call(mode, ["payments/*"]) }
}

test_an_agent_whose_ceiling_does_not_is_refused if {
	every mode in ["user_delegated", "autonomous"] {
		every ceiling in [[], null, true, {}, "payments/*", [null]] {
			not agent_ceiling.holds with input as call(mode, ceiling)
		}
		not agent_ceiling.holds with input as {"caller": {"mode": mode}}
	}
}

test_a_person_without_an_agent_has_no_ceiling if agent_ceiling.holds with input as {"caller": {"mode": "user_direct"}}

test_no_other_mode_is_known if {
	every mode in ["", "direct", null, true, [], {}] {
		not agent_ceiling.holds with input as call(mode, ["payments/*"])
	}
	not agent_ceiling.holds with input as {}
}
