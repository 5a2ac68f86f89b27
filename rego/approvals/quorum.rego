# METADATA
# title: Whether enough people agree
# description: |
#   The votes of those who are eligible, in the stages of the plan. One no ends it. It is satisfied when every stage has
#   the yes of as many different people as its quorum says. What cannot be counted is open, which lets nothing through.
# schemas:
#   - input:
#       type: object
#       properties:
#         stages: {type: array, items: {type: object}}
#         votes: {type: array, items: {type: object}}
package approvals.quorum

import data.lib.approval
import data.manifest

# METADATA
# title: open, satisfied or rejected
# scope: document
default state := "open"

state := "rejected" if approval.refused(input.votes)

state := "satisfied" if {
	approval.countable(input.stages, input.votes)
	not approval.refused(input.votes)
	every stage in input.stages { approval.complete(stage, input.votes) }
}

# METADATA
# title: The stages that still want a yes, and how many
missing := [{"stage": stage.id, "votes": stage.quorum - count(approval.agreed(stage, input.votes))} |
	some stage in input.stages
	not approval.complete(stage, input.votes)
]

# METADATA
# title: The policy that says so
revision := manifest.revision
