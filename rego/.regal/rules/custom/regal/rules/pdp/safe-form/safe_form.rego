# METADATA
# description: A rule says what must be there, in a form that cannot hold when facts are missing
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["safe-form"]

import data.regal.ast
import data.regal.result

import data.custom.pdp.pack

report contains violation if {
	pack.folder
	some [node, description] in departures

	violation := result.fail(rego.metadata.chain(), result.location_and_description(node, description))
}

departures contains [node, "`not` holds when the fact is missing: say what must be there"] if {
	walk(input.rules, [_, node])
	node.negated
}

departures contains [node.with[0], "`with` replaces the facts of the call"] if {
	walk(input.rules, [_, node])
	node.with
}

departures contains [node.terms, "`every` holds when there is nothing to look at: use a word of lib"] if {
	walk(input.rules, [_, node])
	node.terms.domain
}

departures contains [node, "A comprehension is empty when the facts are missing: use a word of lib"] if {
	walk(input.rules, [_, node])
	endswith(node.type, "comprehension")
}

departures contains [node, "A test as a value is false also for a fact of another type: let it stand alone"] if {
	walk(input.rules, [path, node])
	node.type == "call"
	not "symbols" in path
	ast.ref_to_string(node.value[0].value) in pack.tests
}

departures contains [node, "`null` is what a lost fact may look like: compare with what must be there"] if {
	walk(input.rules, [_, node])
	node.type == "null"
}

departures contains [rule["else"], "`else` answers when the first test failed: write two rules"] if some rule in input.rules

departures contains [rule.head, "`default` makes a rule answer when nothing is known"] if {
	some rule in input.rules
	rule["default"]
}

departures contains [rule.head, "A rule that collects values answers when there are none: give it one value"] if {
	some rule in input.rules
	rule.head.key
}

departures contains [rule.head, "A rule that collects values answers when there are none: give it one value"] if {
	some rule in input.rules
	count(rule.head.ref) > 1
}

departures contains [rule.head, "Nobody asks a rule of this name: begin the name of a part with _"] if {
	some rule in input.rules
	name := rule.head.ref[0].value
	not startswith(name, "_")
	not [pack.folder, name] in {["permits", "concerns"], [pack.folder, pack.asked[pack.folder]]}
}

departures contains [rule.head, "Nobody passes arguments to this rule: read `input`"] if {
	some rule in input.rules
	rule.head.args
	not startswith(rule.head.ref[0].value, "_")
}

departures contains [rule.head, "A permit, guard or gate answers true, or nothing"] if {
	some rule in input.rules
	pack.folder != "duties"
	not startswith(rule.head.ref[0].value, "_")
	rule.head.value.value != true
}
