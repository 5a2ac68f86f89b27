# METADATA
# description: A pack carries no `# regal ignore`; write the rule another way, or change .regal/config.yaml with a reason
# schemas:
#   - input: schema.regal.ast
package custom.regal.rules.pdp["no-ignores"]

import data.regal.ast
import data.regal.result

report contains violation if {
	some comment in ast.comments_decoded
	regex.match(`(?i)regal\W+ignore`, comment.text)

	violation := result.fail(rego.metadata.chain(), result.with_text(comment))
}
