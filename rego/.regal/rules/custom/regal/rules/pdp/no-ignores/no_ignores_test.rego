package custom.regal.rules.pdp["no-ignores_test"]

import data.custom.pdp.testing
import data.custom.regal.rules.pdp["no-ignores"] as rule

test_comments_are_welcome if {
	rule.report == set() with input as testing.guard("# to ignore is no virtue\nholds if input.a == 1")
}

test_directives_are_not if {
	every comment in ["# regal ignore:safe-form", "#regal ignore:todo-comment", "# regal  ignore:x"] {
		rule.report != set() with input as testing.guard(concat("\n", [comment, "holds if input.a == 1"]))
	}
}
