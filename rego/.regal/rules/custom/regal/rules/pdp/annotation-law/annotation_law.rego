# METADATA
# description: METADATA above `package` says what the rule asks, what to do about it, and whose it is
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["annotation-law"]

import data.regal.result

import data.custom.pdp.pack

report contains violation if {
	pack.folder
	some description in departures

	violation := result.fail(rego.metadata.chain(), result.location_and_description(input.package, description))
}

departures contains concat("", ["METADATA has no ", name]) if {
	some name in ["title", "description"]
	not regex.match(`\S`, object.get(input, ["package", "annotations", 0, name], ""))
}

departures contains concat("", ["METADATA has no custom.", name]) if {
	some name in ["remedy", "owner"]
	not regex.match(`\S`, object.get(input, ["package", "annotations", 0, "custom", name], ""))
}

departures contains "METADATA has no custom.severity of low, medium, high or critical" if {
	not object.get(input, ["package", "annotations", 0, "custom", "severity"], null) in {"low", "medium", "high", "critical"}
}

departures contains "METADATA has no custom.stage of caller or call" if {
	not object.get(input, ["package", "annotations", 0, "custom", "stage"], null) in {"caller", "call"}
}

departures contains concat("", ["METADATA has no custom.", name, ": an input, or a list of inputs"]) if {
	some name in ["good", "bad"]
	not is_example(object.get(input, ["package", "annotations", 0, "custom", name], null))
}

departures contains "METADATA brings a schema of its own" if {
	walk(input, [_, node])
	node.schemas
}

is_example(value) if is_object(value)

is_example(value) if {
	is_array(value)
	value != []
	every item in value { is_object(item) }
}
