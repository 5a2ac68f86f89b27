# METADATA
# description: guards/risk_ceiling.rego is package guards.risk_ceiling, which is the code of its rule
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["folder-is-package"]

import data.regal.ast
import data.regal.result

report contains violation if {
	path := split(trim_suffix(input.regal.file.name, ".rego"), "/")
	expected := array.slice(path, count(path) - 2, count(path))
	ast.package_path != expected

	violation := result.fail(rego.metadata.chain(), result.location(input.package))
}
