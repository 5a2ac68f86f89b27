package guards.segregation_of_duties_test

import data.config
import data.guards.segregation_of_duties

person(roles) := {"mode": "user_direct", "person": {"id": "alice", "roles": roles}}

delegated(roles, agent_roles) := {
	"mode": "user_delegated",
	"person": {"id": "alice", "roles": roles},
	"agent": {"id": "bot", "owners": ["dora", "emil"], "roles": agent_roles},
	"delegation": {"chain": ["bot", "helper"]},
}

alone(roles) := {"mode": "autonomous", "agent": {"id": "bot", "owners": ["dora"], "roles": roles}}

release(caller) := {
	"caller": caller,
	"tool": {"server": "bank", "name": "release", "labels": ["payment-release"], "argument_labels": {}},
	"arguments": {},
}

bonus(caller, employee) := {
	"caller": caller,
	"tool": {"server": "hr", "name": "pay", "labels": [], "argument_labels": {"/employee": ["beneficiary"]}},
	"arguments": {"employee": employee},
}

test_roles_of_one_side_hold if {
	every roles in [[], ["payment-preparer"], ["payment-releaser"], ["x", "payment-releaser"]] {
		segregation_of_duties.holds with input as release(person(roles))
		segregation_of_duties.holds with input as release(alone(roles))
		segregation_of_duties.holds with input as release(delegated(roles, []))
		segregation_of_duties.holds with input as release(delegated([], roles))
		segregation_of_duties.holds with input as release(delegated(roles, roles))
	}
}

both := ["payment-preparer", "payment-releaser"]

test_roles_of_both_sides_do_not_wherever_they_are_held if {
	every caller in [
		person(both), alone(both), delegated(both, []), delegated([], both),
		delegated(["payment-preparer"], ["payment-releaser"]), delegated(["payment-releaser"], ["payment-preparer"]),
	] {
		not segregation_of_duties.holds with input as release(caller)
	}
}

test_other_tools_do_not_ask_for_it if {
	other := {"labels": ["payment"], "argument_labels": {}, "server": "bank", "name": "show"}
	segregation_of_duties.holds with input as object.union(release(person(both)), {"tool": other})
}

test_a_tool_that_asks_for_neither_asks_nothing_of_the_caller if {
	plain := {"server": "bank", "name": "show", "labels": [], "argument_labels": {"/note": ["text"]}}
	segregation_of_duties.holds with input as {"tool": plain}
}

test_one_tool_may_have_sides_of_its_own if {
	sides := {"hr/pay": {"one": ["x"], "other": ["y"]}}
	segregation_of_duties.holds with input as bonus(person(["x"]), "carol")
		with config.guards.segregation_of_duties.tools as sides
	not segregation_of_duties.holds with input as bonus(person(["x", "y"]), "carol")
		with config.guards.segregation_of_duties.tools as sides
}

test_a_decision_about_somebody_else_holds if {
	every caller in [person([]), delegated([], []), alone([])] {
		segregation_of_duties.holds with input as bonus(caller, "carol")
		segregation_of_duties.holds with input as bonus(caller, ["carol", "dan"])
	}
	segregation_of_duties.holds with input as bonus(person([]), "bot")
	segregation_of_duties.holds with input as bonus(alone([]), "alice")
}

test_nobody_who_acts_decides_for_themselves if {
	every named in ["alice", "ALICE", " alice", ["carol", "alice"]] {
		not segregation_of_duties.holds with input as bonus(person([]), named)
	}
	every named in ["alice", "bot", "dora", "emil", "helper"] {
		not segregation_of_duties.holds with input as bonus(delegated([], []), named)
	}
	every named in ["bot", "dora"] { not segregation_of_duties.holds with input as bonus(alone([]), named) }
}

test_a_beneficiary_who_is_missing_does_not_hold if {
	every wrong in [null, 5, true, [], {}] { not segregation_of_duties.holds with input as bonus(person([]), wrong) }
	not segregation_of_duties.holds with input as object.remove(bonus(person([]), "carol"), ["arguments"])
}

test_another_label_may_mean_it if {
	labels := {"tool": {"argument_labels": {"/employee": ["x-payee"]}}}
	segregation_of_duties.holds with input as object.union(bonus(person([]), "alice"), labels)
	not segregation_of_duties.holds with input as object.union(bonus(person([]), "alice"), labels)
		with config.guards.segregation_of_duties.beneficiary as "x-payee"
}

lost(document, path) := object.remove(document, [path[0]]) if count(path) == 1

lost(document, path) := object.union(
	object.remove(document, [path[0]]),
	{path[0]: object.remove(document[path[0]], [path[1]])},
) if {
	count(path) == 2
}

test_a_caller_who_lacks_a_part_does_not_hold if {
	whole := delegated([], [])
	every part in [["mode"], ["person"], ["agent"], ["person", "roles"], ["agent", "roles"]] {
		not segregation_of_duties.holds with input as release(lost(whole, part))
	}
	every part in [
		["mode"], ["person"], ["agent"], ["delegation"], ["person", "id"], ["agent", "id"],
		["agent", "owners"], ["delegation", "chain"],
	] {
		not segregation_of_duties.holds with input as bonus(lost(whole, part), "carol")
	}
	every part in [["mode"], ["person"], ["person", "id"]] {
		not segregation_of_duties.holds with input as bonus(lost(person([]), part), "carol")
	}
	every part in [["mode"], ["agent"], ["agent", "id"], ["agent", "owners"]] {
		not segregation_of_duties.holds with input as bonus(lost(alone([]), part), "carol")
	}
	every part in [["mode"], ["person"], ["person", "roles"]] {
		not segregation_of_duties.holds with input as release(lost(person([]), part))
	}
	every part in [["mode"], ["agent"], ["agent", "roles"]] {
		not segregation_of_duties.holds with input as release(lost(alone([]), part))
	}
	every mode in ["", "root", null, true] {
		not segregation_of_duties.holds with input as release(object.union(whole, {"mode": mode}))
		not segregation_of_duties.holds with input as bonus(object.union(whole, {"mode": mode}), "carol")
	}
}

test_what_we_cannot_read_does_not_hold if {
	every wrong in [null, true, "x", {}, [5]] {
		not segregation_of_duties.holds with input as object.union(release(person([])), {"tool": {"labels": wrong}})
	}
	every wrong in [null, true, "x", [], {"/employee": "beneficiary"}] {
		not segregation_of_duties.holds with input as object.union(
			bonus(person([]), "carol"),
			{"tool": {"argument_labels": wrong}},
		)
	}
	not segregation_of_duties.holds with input as {}
}

test_without_values_nothing_holds if {
	not segregation_of_duties.holds with input as release(person([])) with config as {}
	every part in ["labels", "tools", "beneficiary"] {
		without := object.remove(config.guards.segregation_of_duties, [part])
		not segregation_of_duties.holds with input as release(person([])) with config.guards.segregation_of_duties as without
	}
}
