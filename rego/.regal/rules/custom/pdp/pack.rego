# METADATA
# description: What our rules know about the file they read. The lists are those of pdp/policy/form.py, which refuses at load what is linted here.
package custom.pdp.pack

import data.regal.ast

# METADATA
# description: the folders of rules, and what a file of each defines
asked := {"permits": "applies", "guards": "holds", "gates": "open", "duties": "duty"}

# METADATA
# description: the built-ins that answer false as well as true
tests := {
	"endswith", "equal", "internal.member_2", "internal.member_3", "is_array", "is_boolean", "is_number", "is_object",
	"is_string", "startswith",
}

# METADATA
# description: the folder of the file; undefined when it is not a rule of the four folders, or is a test
folder := ast.package_path[0] if {
	asked[ast.package_path[0]]
	not endswith(input.regal.file.name, "_test.rego")
}

# METADATA
# description: what METADATA above `package` says
said := input.package.annotations[0]

# METADATA
# description: the names of functions and rules of the file
own contains rule.head.ref[0].value if some rule in input.rules

# METADATA
# description: the full path of each import, by the name it has in the file
imported[name] := path if {
	some entry in input.imports
	path := concat(".", [part.value | some part in entry.path.value])
	name := object.get(entry, "alias", regal.last(entry.path.value).value)
}

# METADATA
# description: every call, as the list of operator and arguments
calls contains node.terms if {
	walk(input.rules, [_, node])
	is_array(node.terms)
}

calls contains node.value if {
	walk(input.rules, [_, node])
	node.type == "call"
}

# METADATA
# description: every reference but the operators of calls
refs contains node if {
	walk(input.rules, [path, node])
	node.type == "ref"
	not is_operator(path)
}

# METADATA
# description: the place of a call's operator
is_operator(path) if {
	regal.last(path) == 0
	array.slice(path, count(path) - 2, count(path) - 1)[0] in {"terms", "value"}
}
