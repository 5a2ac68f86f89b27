package custom.regal.rules.pdp["folder-is-package_test"]

import data.custom.pdp.testing
import data.custom.regal.rules.pdp["folder-is-package"] as rule

test_folder_and_file_are_the_package if {
	every name in ["guards/x.rego", "rego/guards/x.rego", "/srv/org/guards/x.rego"] {
		rule.report == set() with input as testing.file(name, "package guards.x")
	}
}

test_another_package_is_reported if {
	every package_name in ["guards.y", "gates.x", "guards", "guards.x.y", "x"] {
		rule.report != set() with input as testing.file("guards/x.rego", concat(" ", ["package", package_name]))
	}
}
