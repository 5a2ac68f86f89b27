# METADATA
# description: A rule says what must be there, in a form that cannot hold when facts are missing
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["safe-form"]

import data.custom.pdp.pack

import data.regal.result

report contains violation if {
	pack.folder
	walk(input.rules, [_, node])
	some description in departures(node)

	violation := result.fail(rego.metadata.chain(), result.location_and_description(node, description))
}

report contains violation if {
	some rule in input.rules
	some description in heads(rule)

	violation := result.fail(rego.metadata.chain(), result.location_and_description(rule.head, description))
}

departures(node) := {description |
	some description, true in {
		"`not` holds when the fact is missing: say what must be there": node.negated == true,
	}
}

heads(_) := set()
