"""Decide: build the policy input, ask the engine, read the reply strictly.

The Structs below *are* contracts section 3: `rego/schemas/input.json` is generated from them, so that `opa check`
knows every field a rule may use. A reply that is not exactly a `Verdict` is a deny.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from .answer import ApprovalTicket, Reason, Risk
from .answer import Decision as Effect
from .engine import VERDICT
from .engine.reply import read_result
from .enrich import AgentFacts, DelegationFacts, Facts, PersonFacts
from .errors import REFUSALS, OtherPolicy, Refused
from .identify import Caller, Client, Mode, Session, Token
from .registry.parsed import Parsed, take_apart
from .times import rfc3339
from .vet import Tool

if TYPE_CHECKING:
    from .approvals.review import Plan
    from .flow import Case, World
    from .policy.pack import Pack


class CallerInput(Struct, frozen=True, omit_defaults=True):
    """The verified caller with the rights that concern this call; parts that do not apply are absent."""

    verified_by: str
    mode: Mode
    client: Client
    session: Session
    token: Token
    person: PersonFacts | None = None
    agent: AgentFacts | None = None
    delegation: DelegationFacts | None = None


class ApprovalInput(Struct, frozen=True):
    """An approval that was verified for exactly this call."""

    id: str
    gates: list[str]
    approvers: list[str]
    approved_until: str
    uses_left: int


class CallFacts(Struct, frozen=True):
    """Facts about this call that no caller can claim. `first_use`: never before allowed for this person and agent."""

    first_use: bool


class ClockInput(Struct, frozen=True):
    """The time of the call in the configured zone; `weekday` 0 is Monday, `date` is `YYYY-MM-DD`."""

    weekday: int
    hour: int
    date: str
    zone: str


class PolicyInput(Struct, frozen=True, omit_defaults=True):
    """Everything policy may look at (contracts, section 3)."""

    caller: CallerInput
    tool: Tool
    arguments: dict[str, Any]
    risk: Risk
    facts: CallFacts
    context: dict[str, Any]
    now: str
    clock: ClockInput
    parsed: dict[str, Parsed]
    approval: ApprovalInput | None = None


class Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """The closed reply of the policy; anything else is a deny (contracts, section 3)."""

    effect: Effect
    permits: list[str]
    broken_guards: list[str]
    shut_gates: list[str]
    duties: list[dict[str, Any]]
    revision: str


class Verdict(Struct, frozen=True):
    """What was decided and why. `revision` and `permits` are empty when the call did not reach the policy.

    `redeems`: the approval that an allow rests on, and uses up. `plan`: whom policy would ask; `ticket`: where they
    were asked.
    """

    effect: Effect
    reasons: list[Reason]
    duties: list[dict[str, Any]] = field(default_factory=list)
    permits: list[str] = field(default_factory=list)
    revision: str | None = None
    note: str = ""
    redeems: str | None = None
    plan: Plan | None = None
    ticket: ApprovalTicket | None = None


async def decide(case: Case, world: World) -> Verdict:
    """Ask the policy about a case whose caller, facts and tool are known; fills in `case.input`.

    Raises `Refused` with an `engine.*` code when the reply is late, missing, or not exactly what the policy
    we loaded could say.
    """
    case.input = input_for(case, *case.known(), world)
    return await judged(case, case.input, world)


async def judged(case: Case, asked: PolicyInput, world: World) -> Verdict:
    """Ask the policy about an input. Raises `Refused` as `decide` does."""
    pack, engine = case.policy.pack, case.policy.engine
    with _told(world), case.asking():
        body = await engine.evaluate(VERDICT, msgspec.json.encode(asked), case.deadline)
    return verdict_from(read_reply(body, pack), pack)


@contextmanager
def _told(world: World) -> Iterator[None]:
    """Tell how long the engine took; who comes too late to ask it has waited, in a queue of ours, for his whole time.

    An engine that says at once that it is away says nothing about a queue.
    """
    began, slow_s = time.perf_counter(), world.decide_within
    try:
        yield
    except asyncio.CancelledError:  # the deadline of the whole call
        world.asked.add(slow_s)
        raise
    except Refused as refusal:
        if refusal.code == "engine.timeout":
            world.asked.add(slow_s)
        raise
    world.asked.add(time.perf_counter() - began)


def input_for(case: Case, caller: Caller, facts: Facts, tool: Tool, world: World) -> PolicyInput:
    """Put together what policy may look at: verified facts and the call (contracts, section 3)."""
    return PolicyInput(
        caller=CallerInput(
            verified_by=caller.verified_by,
            mode=caller.mode,
            client=caller.client,
            session=caller.session,
            token=caller.token,
            person=facts.person,
            agent=facts.agent,
            delegation=facts.delegation,
        ),
        tool=tool,
        arguments=case.query.arguments,
        parsed=take_apart(case.query.arguments, tool.argument_labels),
        risk=facts.risk,
        facts=CallFacts(first_use=facts.first_use),
        context=case.query.context,
        now=rfc3339(case.received_at),
        clock=clock_input(case.received_at, world.zone),
    )


def clock_input(moment: datetime, zone: ZoneInfo) -> ClockInput:
    """Take a moment apart in the zone that working hours are written in."""
    local = moment.astimezone(zone)
    return ClockInput(weekday=local.weekday(), hour=local.hour, date=local.date().isoformat(), zone=zone.key)


def read_reply(body: bytes, pack: Pack) -> Reply:
    """Read the policy's reply; whatever contradicts itself or the loaded pack is refused, never repaired."""
    reply = read_result(body, Reply)
    if reply.revision != pack.revision:
        raise OtherPolicy(pack.revision, reply.revision)
    must_know(pack, permits=reply.permits, guards=reply.broken_guards, gates=reply.shut_gates)
    if not _coherent(reply):
        raise Refused("engine.garbled", f"effect {reply.effect} contradicts its own rules")
    return reply


def must_know(pack: Pack, **said: list[str]) -> None:
    """Raise `Refused` `engine.garbled` unless every code that was said is a rule of that folder of the pack."""
    for folder, codes in said.items():
        unknown = [code for code in codes if code not in pack.rules or pack.rules[code].folder != folder]
        if unknown:
            raise Refused("engine.garbled", f"no {folder} of the pack: {unknown[:3]}")


def verdict_from(reply: Reply, pack: Pack) -> Verdict:
    """Add the words of the rules that spoke; an allow needs none."""
    return Verdict(
        effect=reply.effect,
        reasons=[_reason(code, pack) for code in _speaking(reply)],
        duties=reply.duties if reply.effect == "allow" else [],
        permits=reply.permits,
        revision=reply.revision,
    )


def refused(refusal: Refused) -> Verdict:
    """Turn a refusal into the deny it means."""
    reason = Reason(code=refusal.code, title=refusal.meaning.title, remedy=refusal.meaning.remedy)
    return Verdict(effect="deny", reasons=[reason], note=refusal.note)


def _coherent(reply: Reply) -> bool:
    clear = bool(reply.permits) and not reply.broken_guards
    if not all(isinstance(duty.get("type"), str) for duty in reply.duties):
        return False
    if reply.effect == "allow":
        return clear and not reply.shut_gates
    if reply.effect == "needs_approval":
        return clear and bool(reply.shut_gates)
    return True


def _speaking(reply: Reply) -> list[str]:
    if reply.effect == "allow":
        return []
    if reply.effect == "needs_approval":
        return reply.shut_gates
    causes = [*reply.broken_guards, *([] if reply.permits else ["permits.none"])]
    return causes or ["duties.undefined"]


def _reason(code: str, pack: Pack) -> Reason:
    if code in REFUSALS:
        return Reason(code=code, title=REFUSALS[code].title, remedy=REFUSALS[code].remedy)
    rule = pack.rules[code]
    return Reason(code=code, title=rule.title, remedy=rule.remedy, owner=rule.owner)
