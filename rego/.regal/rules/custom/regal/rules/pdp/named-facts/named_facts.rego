# METADATA
# description: A rule names each fact it reads, and reads only what it may
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["named-facts"]

import data.regal.result

import data.custom.pdp.pack

report contains violation if {
	pack.folder
	some [node, description] in departures

	violation := result.fail(rego.metadata.chain(), result.location_and_description(node, description))
}

# A reference that begins with `input` reads a named part of it.
departures contains [ref, "`input` as a whole hides which fact is read: name it"] if {
	some ref in pack.refs
	ref.value[0].value == "input"
	not ref.value[1].type == "string"
}

departures contains [node, "`input` as a whole hides which fact is read: name it"] if {
	walk(input.rules, [path, node])
	node.type == "var"
	node.value == "input"
	not in_ref(path)
}

departures contains [ref, description] if {
	some ref in pack.refs
	ref.value[0].value == "input"
	description := hidden[ref.value[1].value]
}

departures contains [ref, "Rules read input, data.config and data.lib"] if {
	some ref in pack.refs
	ref.value[0].value == "data"
	below := [[part.type, part.value] | some part in array.slice(ref.value, 1, 2)]
	not below in {[["string", "config"]], [["string", "lib"]]}
}

departures contains [entry, "Rules import data.config and words of data.lib"] if {
	some entry in input.imports
	path := [part.value | some part in entry.path.value]
	not array.slice(path, 0, 2) in {["data", "config"], ["data", "lib"], ["rego", "v1"]}
}

in_ref(path) if {
	regal.last(path) == 0
	array.slice(path, count(path) - 2, count(path) - 1)[0] == "value"
}

hidden["approval"] := "Approvals are looked at by decision.rego alone"

hidden["context"] := "What the caller claims is no ground for a permit or a duty" if pack.folder in {"permits", "duties"}

hidden["context"] := "A rule of stage caller reads nothing of the call" if {
	pack.folder in {"guards", "gates"}
	pack.said.custom.stage == "caller"
}

hidden[name] := "A rule of stage caller reads nothing of the call" if {
	pack.said.custom.stage == "caller"
	some name in ["arguments", "parsed"]
}
