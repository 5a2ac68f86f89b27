# METADATA
# title: Who may vote in a stage
# description: |
#   The approver, as the identity store knows them now, holds one of the stage's roles, is in one of its groups, holds one
#   of its rights to the tool, or stands in one of its relations to the call. Whoever stands behind the call was turned
#   away before this is asked, and no rule here can let them in.
# schemas:
#   - input:
#       type: object
#       properties:
#         stage:
#           type: object
#           properties:
#             roles: {type: array}
#             groups: {type: array}
#             rights: {type: array}
#             relations: {type: array}
#         approver:
#           type: object
#           properties:
#             id: {type: string}
#             roles: {type: array}
#             groups: {type: array}
#             entitlements: {type: array, items: {type: object}}
#         tool: {type: object}
#         agent: {type: object}
#         now: {type: string}
package approvals.eligible

import data.lib.approval
import data.manifest

# METADATA
# title: May vote
# scope: document
may_vote if approval.shares(input.stage.roles, input.approver.roles)

may_vote if approval.shares(input.stage.groups, input.approver.groups)

may_vote if {
	some held in input.approver.entitlements
	approval.right(held, input.stage.rights, input.now)
}

may_vote if {
	approval.shares(input.stage.relations, ["tool_owner"])
	approval.owns(input.approver, input.tool.owner)
}

may_vote if {
	approval.shares(input.stage.relations, ["agent_owner"])
	approval.shares(input.agent.owners, [input.approver.id])
}

# METADATA
# title: The policy that says so
revision := manifest.revision
