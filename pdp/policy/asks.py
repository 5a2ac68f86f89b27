"""Asks: whom a table says that a call is put to, held against what the policy says of stages, voters and quorum.

People vote here as at the desk (`approvals/electorate.py`): in the first stage that wants them, and nobody who stands
behind the call.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from ..approvals.floor import Asked, behind
from ..approvals.review import Plan, Tally, Vote, Voting, may_vote, plan, standing
from ..decide import PolicyInput
from ..engine import Engine
from ..errors import Refused
from .cases import Asks, Poll
from .live import Active
from .pack import Pack
from .problem import Problem
from .trials import WITHIN_S, Case, each

UNPLANNED = "engine.garbled"  # how a plan without stages reads


async def try_asks(engine: Engine, pack: Pack, cases: Iterable[Case]) -> list[Problem]:
    """Find the rows that are put to others than their table says. Raises `Refused` when the engine does not answer."""

    async def wrong(case: Case) -> list[Problem]:
        asked = case.row.asks
        return [] if asked is None else await _Booth(Active(pack, engine), case).wrong(asked)

    return sorted(problem for problems in await each(cases, wrong) for problem in problems)


class _Booth(NamedTuple):
    """Where the votes on one case are cast."""

    policy: Active
    case: Case

    async def wrong(self, asks: Asks) -> list[Problem]:
        call = self.case.table.input_of(self.case.row)
        planned = await self._plan(call)
        names = [stage.id for stage in planned.stages] if planned else []
        if planned is None or names != asks.stages:
            return [self._problem("passes the stages", names, asks.stages)]
        open_to = {voter: await self._open_to(voter, planned, call) for voter in asks.voters}
        return [
            *self._misjudged(asks, open_to),
            *[
                self._problem(f"is, with {_told(poll)},", [came], [poll.then])
                for poll in asks.polls
                if (came := await self._poll(poll, planned, open_to)) != poll.then
            ],
        ]

    def _misjudged(self, asks: Asks, open_to: dict[str, list[str]]) -> Iterator[Problem]:
        for voter, said in asks.may_vote.items():
            if open_to[voter] != said:
                yield self._problem(f"lets {voter} vote in", open_to[voter], said)

    async def _plan(self, call: PolicyInput) -> Plan | None:
        try:
            return await plan(call, self.policy, _deadline())
        except Refused as refusal:
            if refusal.code == UNPLANNED:
                return None
            raise

    async def _open_to(self, voter: str, planned: Plan, call: PolicyInput) -> list[str]:
        row = self.case.row
        agent = call.caller.agent
        owners = tuple(agent.owners) if agent and row.person is None else ()
        if voter in behind(Asked(row.person, row.agent, owners=owners)):
            return []
        facts = self.case.table.person_of(voter, row)
        asked = [(stage.id, Voting(stage, facts, call.tool, call.now, agent)) for stage in planned.stages]
        return [name for name, voting in asked if await may_vote(voting, self.policy, _deadline())]

    async def _poll(self, poll: Poll, planned: Plan, open_to: dict[str, list[str]]) -> str:
        votes: list[Vote] = []
        state = "open"
        for voter, says in [*((one, "approve") for one in poll.agree), *((one, "deny") for one in poll.refuse)]:
            stands = await standing(Tally(planned.stages, votes), self.policy, _deadline())
            wanting = [missing.stage for missing in stands.missing]
            stages = sorted(open_to[voter], key=lambda stage: stage not in wanting)
            if stages:
                votes.append(msgspec.convert({"person": voter, "stage": stages[0], "vote": says}, Vote))
            state = (await standing(Tally(planned.stages, votes), self.policy, _deadline())).state
        return state

    def _problem(self, verb: str, came: list[str], said: list[str]) -> Problem:
        got, wanted = (", ".join(names) or "none" for names in (came, said))
        what = f"The case {self.case.row.case!r} {verb} {got}; the table says {wanted}."
        return Problem(self.case.file, self.case.row.line, what, "Correct the table or the rules, whichever is wrong.")


def _told(poll: Poll) -> str:
    parts = [("the yes of", poll.agree), ("the no of", poll.refuse)]
    return " and ".join(f"{word} {', '.join(people)}" for word, people in parts if people) or "no votes"


def _deadline() -> float:
    return asyncio.get_running_loop().time() + WITHIN_S
