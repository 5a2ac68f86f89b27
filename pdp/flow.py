"""The sentence: a query arrives; we identify, enrich, vet, decide, record, and answer.

One deadline, and the only broad `except` of the code base: whatever goes wrong on the way is a recorded deny.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from .answer import Answer, Receipt, Revisions
from .approvals.settle import consult, settle
from .audit.log import Log
from .audit.mask import Masker
from .deadlines import Deadlines
from .decide import PolicyInput, Verdict, decide, refused
from .enrich import Facts, enrich
from .errors import OtherPolicy, Refused, Unrecorded
from .identify import PLAIN, Asker, Caller, identify
from .identity.habits import Habits
from .identity.people import People
from .identity.tokens import TokenVerifier
from .ids import new_id
from .meter import Meter
from .policy.live import Active, Policy
from .query import Query
from .record import record
from .registry.definitions import Registry
from .store.sql import Store
from .times import Clock, rfc3339
from .tracing import Trace, Traces
from .vet import Tool, vet

UNLIMITED = nullcontext()

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class World:
    """The collaborators of the steps, opened and closed by `app.py`. Times are seconds.

    `asked` is told how long the engine took each time, with its queue. `console` is where people find its pages, if
    there is one; `traces` is None while nobody looks at any.
    """

    now: Clock
    zone: ZoneInfo
    tokens: TokenVerifier
    people: People
    tools: Registry
    policy: Policy
    store: Store
    log: Log
    masker: Masker
    habits: Habits
    decide_within: float
    record_within: float
    asked: Meter
    console: str | None = None
    traces: Traces | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)


@dataclass(kw_only=True)
class Case:
    """One call on its way through the words; each step adds what it produced, so that a refusal keeps the rest.

    `policy`: the one pack and engine all of it is judged by. `late`: what it is called if the deadline is met now.
    """

    id: str
    query: Query
    pep: str
    request_id: str
    received_at: datetime
    deadline: float
    started: float
    policy: Active
    asker: Asker = PLAIN
    caller: Caller | None = None
    facts: Facts | None = None
    tool: Tool | None = None
    identity: int | None = None
    registry: int | None = None
    input: PolicyInput | None = field(default=None, repr=False)
    late: str = "deadline"
    trace: Trace | None = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Let a deadline that is met in here be the engine's, which was waited for, whoever notices it first."""
        try:
            yield
        except asyncio.CancelledError:
            self.late = "engine.timeout"
            raise

    def word(self, name: str, step: Awaitable[T]) -> Awaitable[T]:
        """Return a step of the sentence as it is; timed, if this call is traced."""
        return step if self.trace is None else self.trace.timed(name, step)

    def end(self, outcome: str, codes: Sequence[str]) -> None:
        """End the trace of this call, if it has one."""
        if self.trace is not None:
            with harmless(self):
                self.trace.end(self, outcome, codes)

    def revisions(self, verdict: Verdict) -> Revisions:
        """Return the policy, identity and registry revisions this call was decided on, as far as it got."""
        return Revisions(policy=verdict.revision, identity=self.identity, registry=self.registry)

    def known(self) -> tuple[Caller, Facts, Tool]:
        """Return what `decide` needs; a gap here is a bug, and becomes a recorded deny `fault`."""
        if self.caller is None or self.facts is None or self.tool is None:
            raise AssertionError("decide was reached before identify, enrich and vet had answered")
        return self.caller, self.facts, self.tool


async def answer(
    query: Query, pep: str, request_id: str, world: World, asker: Asker = PLAIN, *, arrived: float | None = None
) -> Answer:
    """Decide one query and record it. Raises `Unrecorded` when nobody may be told, because the log failed.

    `asker`: what the key of `pep` lets it do, and demands. `arrived`: when it was about to be read (`perf_counter`).
    """
    with world.policy.held() as policy:
        case = open_case(query, pep, request_id, world, policy, asker=asker, arrived=arrived)
        verdict = await judge(case, world)
    return await conclude(case, verdict, world)


async def judge_together(
    queries: Sequence[Query], pep: str, request_id: str, world: World, asker: Asker = PLAIN, *, at_once: int
) -> list[tuple[Case, Verdict]]:
    """Judge a batch on one snapshot, side by side, in the order asked; each is then to be concluded.

    When a change came in between, all are judged once more. So all speak of one revision of people and tools, unless
    changes come faster than that: then their revisions say so. `asker` as in `answer`; so many are judged `at_once`,
    each within its own deadline.
    """
    for _ in range(2):
        judged: list[tuple[Case, Verdict]] = []
        with world.policy.held() as policy:
            for start in range(0, len(queries), at_once):
                some = queries[start : start + at_once]
                cases = [open_case(query, pep, request_id, world, policy, asker=asker) for query in some]
                verdicts = await asyncio.gather(*(judge(case, world) for case in cases))
                judged += zip(cases, verdicts, strict=True)
        if one_snapshot([case for case, _ in judged]):
            break
    return judged


async def judge(case: Case, world: World) -> Verdict:
    """Take a case through identify, enrich, vet and decide; every way this can fail is a deny."""
    try:
        with defended(case, world.deadlines.at(case.deadline)):
            case.identity = world.people.revision  # before anything is read: facts may be newer, never older
            case.caller = caller = await case.word("identify", identify(case.query, world, case.asker))
            return await by_one_policy(case, caller, world, _weigh)
    except Refused as refusal:
        return refused(refusal)


async def _weigh(case: Case, caller: Caller, world: World) -> Verdict:
    case.facts = await case.word("enrich", enrich(caller, case.query, case.policy.pack.weights, world))
    case.registry = world.tools.revision
    case.tool = await case.word("vet", vet(case.query, world))
    verdict = await case.word("decide", decide(case, world))
    return verdict if verdict.effect != "needs_approval" else await case.word("consult", consult(case, verdict, world))


async def by_one_policy(
    case: Case, caller: Caller, world: World, weigh: Callable[[Case, Caller, World], Awaitable[T]]
) -> T:
    """Weigh an identified case by the policy it holds; if the engine has just taken up the next one, anew by that.

    So whatever went into the answer is of the revision it names. Raises `OtherPolicy` for any other revision.
    """
    try:
        return await weigh(case, caller, world)
    except OtherPolicy as other:
        if world.policy.taken_up(other.revision) is None:
            raise
    with world.policy.held() as case.policy:
        return await weigh(case, caller, world)


async def conclude(case: Case, verdict: Verdict, world: World) -> Answer:
    """Record a verdict, and only then answer. Raises `Unrecorded`."""
    verdict = await settled(case, verdict, world)
    receipt = await sealed(case, record(case, verdict, world))
    remember(case, verdict, world)
    told = compose(case, verdict, receipt)
    if case.trace is not None:
        case.end(verdict.effect, [reason.code for reason in verdict.reasons])
    return told


async def settled(case: Case, verdict: Verdict, world: World) -> Verdict:
    """Use up the approval that an allow rests on, or ask people for one; what fails here is a deny."""
    if verdict.redeems is None and verdict.plan is None:
        return verdict
    try:
        when = asyncio.get_running_loop().time() + world.record_within
        with defended(case):
            settling = case.word("settle", settle(case, verdict, world))
            return await world.deadlines.keep(when, settling)
    except Refused as refusal:
        return refused(refusal)


def remember(case: Case, verdict: Verdict, world: World) -> None:
    """Let what became of this call be known when the caller's next is weighed."""
    if case.caller is None:
        return
    person, agent, tool = case.caller.person, case.caller.agent, case.query.tool
    denied, unknown = verdict.effect == "deny", any(reason.code == "tool.unknown" for reason in verdict.reasons)
    weights = case.policy.pack.weights
    world.habits.note((person, agent), case.received_at, weights, denied=denied, unknown=unknown)
    if verdict.effect == "allow":
        world.people.remember_use(person, agent, tool.server, tool.name)


async def sealed(case: Case, recording: Awaitable[Receipt]) -> Receipt:
    """Return the receipt of a recording, which keeps its own deadline; whatever makes it fail raises `Unrecorded`."""
    try:
        with defended(case):
            return await case.word("record", recording)
    except Unrecorded:
        case.end("deny", ["audit.unavailable"])
        raise
    except Refused as refusal:
        case.end("deny", ["audit.unavailable", refusal.code])
        raise Unrecorded(f"{case.id} could not be recorded ({refusal.code}): see the lines above.") from None


@contextmanager
def defended(case: Case, limit: AbstractContextManager[None] = UNLIMITED) -> Iterator[None]:
    """Turn what goes wrong inside into a `Refused`: lateness into `case.late`, and what nobody foresaw into `fault`."""
    try:
        with limit:
            yield
    except (Refused, Unrecorded):
        raise
    except TimeoutError:
        raise Refused(case.late) from None
    except Exception:
        logger.exception("%s met a fault", case.id)
        raise Refused("fault") from None


@contextmanager
def harmless(case: Case) -> Iterator[None]:
    """Let nothing that goes wrong inside reach the decision, which does not rest on it: it is logged as a fault is."""
    with suppress(Refused), defended(case):
        yield


def one_snapshot(cases: Sequence[Case]) -> bool:
    """Say whether these cases were judged by one policy and one revision of people and of tools, as far as they got."""
    people = {case.identity for case in cases if case.identity is not None}
    tools = {case.registry for case in cases if case.registry is not None}
    policies = {case.policy.pack.revision for case in cases}
    return len(people) <= 1 and len(tools) <= 1 and len(policies) <= 1


def open_case(
    query: Query,
    pep: str,
    request_id: str,
    world: World,
    policy: Active,
    *,
    asker: Asker,
    arrived: float | None = None,
) -> Case:
    """Start the clock of one call, and its trace if it is to have one."""
    received_at = world.now()
    case = Case(
        id=new_id("dec", received_at),
        query=query,
        pep=pep,
        asker=asker,
        policy=policy,
        request_id=request_id,
        received_at=received_at,
        started=time.perf_counter(),  # the loop's own time may count whole milliseconds only
        deadline=asyncio.get_running_loop().time() + world.decide_within,
    )
    if world.traces is not None:
        with harmless(case):
            case.trace = world.traces.begin(case, arrived)
    return case


def compose(case: Case, verdict: Verdict, receipt: Receipt) -> Answer:
    """Say what was decided and where it is recorded."""
    return Answer(
        id=case.id,
        decision=verdict.effect,
        reasons=verdict.reasons,
        duties=verdict.duties,
        risk=case.facts.risk if case.facts else None,
        approval=verdict.ticket,
        receipt=receipt,
        revisions=case.revisions(verdict),
        evaluated_at=rfc3339(case.received_at),
        elapsed_ms=round((time.perf_counter() - case.started) * 1000, 3),
    )
