"""Who may vote on a call, asked of policy with the facts of now: at the vote, and again before an approval is used.

Whoever left, was suspended or lost the role since has no say any more, and what they said does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..enrich import AgentFacts, person_facts
from ..errors import Rejected
from ..query import ToolRef
from ..times import rfc3339
from ..vet import Tool
from .requests import Ballot, Row, Ruling
from .review import Stage, Standing, Tally, Vote, Voting, may_vote, standing

if TYPE_CHECKING:
    from ..flow import World
    from ..policy.live import Active

STEPS: dict[str, Any] = {"open": "vote", "satisfied": "approve", "rejected": "deny"}


@dataclass(frozen=True)
class Electorate:
    """Those who may vote on a call of `tool` by `agent`, under one policy. `deadline` is in the loop's time.

    `asking` is entered while policy is asked.
    """

    world: World
    policy: Active
    tool: Tool
    agent: AgentFacts | None
    deadline: float
    asking: Callable[[], AbstractContextManager[None]] = nullcontext

    async def may(self, person: str, stage: Stage) -> bool:
        """Say whether a person, as they are known now, may vote in a stage. Raises `Refused`."""
        found = await self.world.people.get(person)
        if found is None or found.registered.kind != "person" or found.registered.status != "active":
            return False
        now = rfc3339(self.world.now())
        facts = person_facts(found, ToolRef(self.tool.server, self.tool.name), now)
        with self.asking():
            return await may_vote(Voting(stage, facts, self.tool, now, self.agent), self.policy, self.deadline)

    async def counted(self, stages: list[Stage], votes: list[Vote]) -> list[Vote]:
        """Return the votes of those who may still vote in the stage they voted in. Raises `Refused`."""
        by_id = {stage.id: stage for stage in stages}
        return [vote for vote in votes if vote.stage in by_id and await self.may(vote.person, by_id[vote.stage])]

    async def stands(self, stages: list[Stage], votes: list[Vote]) -> Standing:
        """Say whether these votes are enough. Raises `Refused`."""
        with self.asking():
            return await standing(Tally(stages, votes), self.policy, self.deadline)

    async def rule(self, request: Row, votes: list[Row], ballot: Ballot) -> Ruling:
        """Say in which stage a ballot counts and what it does. Raises `Rejected` 403, and `Refused`."""
        stages = stages_of(request)
        before = await self.counted(stages, votes_of(votes))
        wanting = {missing.stage for missing in (await self.stands(stages, before)).missing}
        open_to = [stage for stage in stages if await self.may(ballot.voter.id, stage)]
        if not open_to:
            raise Rejected(403, "approvals.not_eligible", "Others are asked about this call; you are not among them.")
        stage = next((stage for stage in open_to if stage.id in wanting), open_to[0])
        after = await self.stands(stages, [*before, Vote(ballot.voter.id, stage.id, ballot.vote)])
        return Ruling(stage.id, STEPS[after.state])


def stages_of(request: Row) -> list[Stage]:
    """Return the stages a request passes."""
    return msgspec.convert(request["plan"]["stages"], list[Stage])


def votes_of(rows: list[Row]) -> list[Vote]:
    """Return votes as policy counts them."""
    return [msgspec.convert(row, Vote) for row in rows]
