# METADATA
# description: What our rules know about the pack they read; the same lists stand in pdp/policy/form.py.
package custom.pdp.pack

import data.regal.ast

# METADATA
# description: the folders of rules, and what a file of each defines
asked := {"permits": "applies", "guards": "holds", "gates": "open", "duties": "duty"}

# METADATA
# description: the folder of the file, when it is a rule and not a test
folder := ast.package_path[0] if {
	asked[ast.package_path[0]]
	not is_test
}

# METADATA
# description: the file is a test
is_test if endswith(input.regal.file.name, "_test.rego")

# METADATA
# description: what METADATA above `package` says
said := input.package.annotations[0]

# METADATA
# description: the built-ins of the safe form
builtins := {
	"assign", "equal", "internal.member_2", "internal.member_3",
	"is_array", "is_boolean", "is_number", "is_object", "is_string",
	"startswith", "endswith", "lower", "upper", "concat",
}

# METADATA
# description: names of functions and rules in the file
own contains rule.head.ref[0].value if some rule in input.rules

# METADATA
# description: the full path of each import by the name it has in the file
imported[name] := path if {
	some entry in input.imports
	path := concat(".", [part.value | some part in entry.path.value])
	name := object.get(entry, "alias", regal.last(entry.path.value).value)
}
