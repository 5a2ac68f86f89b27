# METADATA
# title: Approvals
# description: What it means to be asked, to agree and to be enough. Types are checked first, as in all words of lib.
package lib.approval

import data.lib.list
import data.lib.moment
import data.lib.number

# METADATA
# title: Above
# description: "The stage that is added when `score` reaches `limit.from`; none below. A score that is no number reaches it."
# scope: document
above(score, limit) := [] if number.less(score, limit.from)

above(score, limit) := [limit.stage] if not number.less(score, limit.from)

# METADATA
# title: Shares
# description: "Both are lists of text, and one entry stands in both."
shares(wanted, held) if {
	list.of_text(wanted)
	list.of_text(held)
	some entry in wanted
	entry in held
}

# METADATA
# title: Right
# description: "`held` is one of the rights `wanted`, without constraints, and has not expired by `now`."
right(held, wanted, now) if {
	list.of_text(wanted)
	held.permission in wanted
	held.permission != "call"
	held.constraints == []
	moment.before(now, held.expires_at)
}

# METADATA
# title: Owns
# description: "`owner` is the approver's id, a group they are in, or a role they hold; nobody's is not anybody's."
owns(approver, owner) if {
	is_string(owner)
	owner != ""
	list.of_text(approver.groups)
	list.of_text(approver.roles)
	owner in (({approver.id} | {name | some name in approver.groups}) | {name | some name in approver.roles})
}

# METADATA
# title: Countable
# description: "`stages` is a list of at least one stage, each with a name and a quorum of one or more; `votes` is a list."
countable(stages, votes) if {
	is_array(votes)
	is_array(stages)
	stages != []
	every stage in stages {
		is_string(stage.id)
		is_number(stage.quorum)
		stage.quorum >= 1
	}
}

# METADATA
# title: Refused
# description: One of the votes is a no.
refused(votes) if {
	some vote in votes
	vote.vote == "deny"
}

# METADATA
# title: Agreed
# description: The people who said yes in a stage; nobody twice.
agreed(stage, votes) := {vote.person |
	some vote in votes
	vote.vote == "approve"
	vote.stage == stage.id
	is_string(vote.person)
}

# METADATA
# title: Complete
# description: As many people said yes in the stage as its quorum wants.
complete(stage, votes) if count(agreed(stage, votes)) >= stage.quorum
