"""What policy says of approvals: who is asked, who may vote, and when it is enough. Closed replies, read strictly.

Each is a document of the pack (`rego/approvals/`), asked of the engine that judges the call; one that does not fit its
Struct, or is of another revision, is no answer.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from ..decide import PolicyInput
from ..engine import ELIGIBLE, PLAN, QUORUM
from ..engine.reply import read_result
from ..enrich import AgentFacts, PersonFacts
from ..errors import OtherPolicy
from ..policy.live import Active
from ..vet import Tool

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[int, Meta(ge=0)]
R = TypeVar("R", "Plan", "Franchise", "Standing")


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """One stage of a plan: how many different people must agree, and by what they are eligible."""

    id: str
    quorum: Count
    roles: list[str]
    groups: list[str]
    rights: list[str]
    relations: list[str]


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is asked about a call, in how many seconds they decide and it is then made, and how often it may be.

    After how many seconds they are reminded, and others told that nobody decided; 0 is never.
    """

    stages: Annotated[list[Stage], Meta(min_length=1)]
    decide_within_s: Count
    execute_within_s: Count
    remind_after_s: Seconds
    escalate_after_s: Seconds
    uses: Count
    justification: bool
    revision: str

    def __post_init__(self) -> None:
        if len({stage.id for stage in self.stages}) != len(self.stages):
            raise ValueError("two stages have one id: a vote in one of them would count in both")


class Franchise(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether somebody may vote in a stage; what policy does not say is no."""

    revision: str
    may_vote: bool = False


class Missing(Struct, frozen=True, forbid_unknown_fields=True):
    """How many votes a stage still wants."""

    stage: str
    votes: Count


class Standing(Struct, frozen=True, forbid_unknown_fields=True):
    """How a request stands, with the votes of those who are eligible now."""

    state: Literal["open", "satisfied", "rejected"]
    missing: list[Missing]
    revision: str


class Vote(Struct, frozen=True):
    """A vote as policy counts it."""

    person: str
    stage: str
    vote: Literal["approve", "deny"]


class Voting(Struct, frozen=True, omit_defaults=True):
    """What policy looks at to say whether somebody may vote: facts of now, never of when they were asked."""

    stage: Stage
    approver: PersonFacts
    tool: Tool
    now: str
    agent: AgentFacts | None = None


class Tally(Struct, frozen=True):
    """What policy looks at to say whether it is enough."""

    stages: list[Stage]
    votes: list[Vote]


async def plan(asked: PolicyInput, policy: Active, deadline: float) -> Plan:
    """Return the plan for a call. Raises `Refused` with an `engine.*` code, also when policy has none for it."""
    return await _asked(PLAN, asked, Plan, policy, deadline)


async def may_vote(voting: Voting, policy: Active, deadline: float) -> bool:
    """Say whether somebody may vote in a stage. Raises `Refused` with an `engine.*` code."""
    return (await _asked(ELIGIBLE, voting, Franchise, policy, deadline)).may_vote


async def standing(tally: Tally, policy: Active, deadline: float) -> Standing:
    """Say whether the votes are enough. Raises `Refused` with an `engine.*` code."""
    return await _asked(QUORUM, tally, Standing, policy, deadline)


async def _asked(entrypoint: str, document: Struct, kind: type[R], policy: Active, deadline: float) -> R:
    body = await policy.engine.evaluate(entrypoint, msgspec.json.encode(document), deadline)
    said = read_result(body, kind)
    if said.revision != policy.pack.revision:
        raise OtherPolicy(policy.pack.revision, said.revision)
    return said
