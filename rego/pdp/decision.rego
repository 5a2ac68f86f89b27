# METADATA
# title: The decision
# description: |
#   Asks every rule that the built manifest lists, and nothing else. Only `true` counts, so what is missing, undefined
#   or of another type never helps a caller. Approvals are looked at here and nowhere else.
package pdp.decision

import data.manifest

# METADATA
# title: The verdict on one call
# entrypoint: true
verdict := {
	"effect": effect,
	"permits": codes("permits", permitted),
	"broken_guards": codes("guards", broken),
	"shut_gates": codes("gates", shut),
	"duties": [duty | some name in manifest.duties; duty := owed[name]; duty.type != "none"],
	"revision": manifest.revision,
}

default effect := "deny"

effect := "allow" if {
	sound
	shut == set()
}

effect := "needs_approval" if {
	sound
	shut != set()
}

sound if {
	is_array(manifest.permits)
	is_array(manifest.guards)
	is_array(manifest.gates)
	is_array(manifest.duties)
	permitted != set()
	manifest.guards != []
	broken == set()
	count(owed) == count(manifest.duties)
}

permitted contains name if {
	some name in manifest.permits
	data.permits[name].applies == true
}

broken contains name if {
	some name in manifest.guards
	not holds(name)
}

holds(name) if data.guards[name].holds == true

shut contains name if {
	some name in manifest.gates
	not is_open(name)
}

is_open(name) if data.gates[name].open == true

is_open(name) if concat(".", ["gates", name]) in input.approval.gates

owed[name] := duty if {
	some name in manifest.duties
	duty := data.duties[name].duty
	is_string(duty.type)
}

# in the order of the manifest: a set has one in OPA itself, but none in what OPA compiles
codes(folder, names) := [concat(".", [folder, name]) | some name in manifest[folder]; name in names]

# METADATA
# title: The verdicts on several calls
# description: One call in, one verdict out, in the same order. So a policy is tried before it answers anybody.
# entrypoint: true
# schemas:
#   - input: {type: object, properties: {calls: {type: array}}}
verdicts := [judged | some call in input.calls; judged := verdict with input as call]

# METADATA
# title: Which tools a caller may see
# description: |
#   One call in, one entry out, in the same order; a call without a named tool has none, and its reader refuses the answer.
#   Asked are the guards that do not look at arguments, and the permits: whether they apply, or concern the caller at all.
# entrypoint: true
# schemas:
#   - input: {type: object, properties: {calls: {type: array}}}
visible := {
	"tools": [entry | some call in input.calls; entry := seen with input as call],
	"revision": manifest.revision,
}

seen := {
	"server": input.tool.server,
	"name": input.tool.name,
	"visible": in_sight,
	"permits": codes("permits", concerned),
	"broken_guards": codes("guards", unmet),
}

default in_sight := false

in_sight if {
	is_array(manifest.caller.guards)
	concerned != set()
	manifest.caller.guards != []
	unmet == set()
}

concerned contains name if {
	some name in manifest.caller.permits
	data.permits[name].applies == true
}

concerned contains name if {
	some name in manifest.permits
	data.permits[name].concerns == true
}

unmet contains name if {
	some name in manifest.caller.guards
	not holds(name)
}
