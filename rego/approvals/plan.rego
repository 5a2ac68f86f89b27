# METADATA
# title: Who is asked, and for how long
# description: |
#   For a call that needs approval: the stages that people pass, the seconds they have to decide and then to make the
#   call, how often it may be made, and whether a reason is demanded. The input is that of the call. A class of impact
#   that config.yaml does not know has no stages, and without stages there is no approval.
package approvals.plan

import data.config
import data.lib.approval
import data.manifest

# METADATA
# title: The stages
# description: Those of the tool's class of impact, and the one for high risk on top where the score reaches it.
stages := array.concat(
	config.approvals.stages[input.tool.risk_class],
	approval.above(input.risk.score, config.approvals.high_risk),
)

# METADATA
# title: Seconds to decide
decide_within_s := config.approvals.decide_within_s

# METADATA
# title: Seconds to make the call, once approved
execute_within_s := config.approvals.execute_within_s

# METADATA
# title: Seconds until those who are asked are reminded
remind_after_s := config.approvals.remind_after_s

# METADATA
# title: Seconds until others are told that nobody decided
escalate_after_s := config.approvals.escalate_after_s

# METADATA
# title: How often the call may be made
uses := config.approvals.uses[input.tool.risk_class]

# METADATA
# title: Whether approvers must give a reason
justification := config.approvals.justification[input.tool.risk_class]

# METADATA
# title: The policy that says so
revision := manifest.revision
