# METADATA
# description: A rule compares with == and in, and with words of lib, which check types first
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["words-only"]

import data.regal.ast
import data.regal.result

import data.custom.pdp.pack

builtins := {
	"assign", "concat", "endswith", "equal", "internal.member_2", "internal.member_3", "is_array", "is_boolean",
	"is_number", "is_object", "is_string", "lower", "startswith", "upper",
}

report contains violation if {
	pack.folder
	some call in pack.calls
	operator := call[0].value
	not is_word(operator)

	violation := result.fail(rego.metadata.chain(), result.location(call[0]))
}

is_word(operator) if ast.ref_to_string(operator) in builtins

is_word(operator) if operator[0].value in pack.own

is_word(operator) if startswith(pack.imported[operator[0].value], "data.lib.")

is_word(operator) if startswith(ast.ref_to_string(operator), "data.lib.")
