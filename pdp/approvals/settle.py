"""Where approvals meet a decision: an approval is verified, the call judged again with it, used once; or people asked.

`consult` belongs to judging and changes nothing. `settle` comes after, once, right before the record: it uses up what
an allow rests on, or asks. A crash between the two loses a use, which is safe; the other order could lose a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from ..answer import ApprovalTicket
from ..audit.office import Office
from ..decide import ApprovalInput, PolicyInput, Verdict, judged, refused
from ..errors import Refused, Rejected
from ..query import action_digest
from ..record import action_on_record, masked_call
from ..store import approvals as store
from ..store.sql import StoreUnavailable, reading
from . import requests
from .electorate import Electorate, votes_of
from .floor import Asked, behind
from .review import Plan, plan

if TYPE_CHECKING:
    from ..flow import Case, World

Row = dict[str, Any]


async def consult(case: Case, verdict: Verdict, world: World) -> Verdict:
    """Judge a call that needs approval again, with the approval it has; without one that counts, plan whom to ask.

    Raises `Refused`. A guard that says no by now is a deny, whatever was approved.
    """
    if verdict.effect != "needs_approval" or case.input is None:
        return verdict
    approval = await _verified(case, case.input, world)
    if approval is not None:
        case.input = replace(case.input, approval=approval)
        verdict = await judged(case, case.input, world)
    if verdict.effect == "needs_approval":
        return replace(verdict, plan=await _planned(case.input, case))
    return replace(verdict, redeems=approval.id) if approval and verdict.effect == "allow" else verdict


async def settle(case: Case, verdict: Verdict, world: World) -> Verdict:
    """Use up the approval an allow rests on, or ask people for one. Raises `Refused` with an `approvals.*` code."""
    try:
        if verdict.redeems is not None:
            await requests.use(_office(world), verdict.redeems, _digest(case), case.id)
        elif verdict.plan is not None and case.input is not None:
            call = _call(case, case.input, verdict, world)
            return replace(verdict, ticket=await _ask(call, verdict.plan, world))
    except requests.Denied as no:
        return _turned_down(no.feedback)
    except Rejected as rejected:
        code = "approvals.too_many" if rejected.code == "approvals.too_many" else "approvals.spent"
        raise Refused(code, rejected.title) from None
    except StoreUnavailable as away:
        raise Refused("approvals.unavailable", str(away)) from None
    return verdict


def _turned_down(feedback: str) -> Verdict:
    """Deny what people refused a moment ago, and hand on what they said: the one text here that a person wrote."""
    verdict = refused(Refused("approvals.denied"))
    if not feedback:
        return verdict
    return replace(verdict, reasons=[replace(verdict.reasons[0], remedy=f"They say: {feedback}")])


async def _verified(case: Case, asked: PolicyInput, world: World) -> ApprovalInput | None:
    """Return the approval for exactly this call, if those who gave it are enough by what policy asks for now."""
    found = await world.deadlines.keep(case.deadline, _stored(case, world))
    if found is None:
        return None
    approval, votes = found
    voters = Electorate(world, case.policy, asked.tool, asked.caller.agent, case.deadline, case.asking)
    planned = await _planned(asked, case)  # not the request's: rules and risk may have changed
    barred = behind(_asked(case, asked))  # who came to own the agent since they voted has no say either
    counted = await voters.counted(planned.stages, [vote for vote in votes_of(votes) if vote.person not in barred])
    if (await voters.stands(planned.stages, counted)).state != "satisfied":
        return None
    return ApprovalInput(
        id=approval["id"],
        gates=approval["gates"],
        approvers=sorted(vote.person for vote in counted),
        approved_until=approval["not_after"],
        uses_left=approval["uses_left"],
    )


async def _planned(asked: PolicyInput, case: Case) -> Plan:
    with case.asking():
        return await plan(asked, case.policy, case.deadline)


async def _stored(case: Case, world: World) -> tuple[Row, list[Row]] | None:
    """Return the approval for exactly this call, and the votes it rests on."""
    try:
        async with reading(world.store) as connection:
            approval = await store.read_active_approval(connection, _digest(case))
            if approval is None or case.query.approval not in {None, approval["id"]}:
                return None
            return approval, await store.read_votes(connection, approval["id"])
    except StoreUnavailable as away:
        raise Refused("approvals.unavailable", str(away)) from None


async def _ask(call: Row, planned: Plan, world: World) -> ApprovalTicket:
    terms = requests.Terms(
        planned.decide_within_s,
        planned.execute_within_s,
        planned.uses,
        planned.remind_after_s,
        planned.escalate_after_s,
    )
    request, _new = await requests.ask(_office(world), call, terms)
    identifier = request["id"]
    return ApprovalTicket(
        id=identifier,
        status="open",
        expires_at=request["expires_at"],
        poll=f"/v1/approvals/{identifier}",
        url=f"{world.console}/approvals/{identifier}" if world.console else None,
    )


def _office(world: World) -> Office:
    return Office(world.store, world.log, world.now)


def _call(case: Case, asked: PolicyInput, verdict: Verdict, world: World) -> Row:
    """Describe a call for those who are asked about it, sensitive values masked."""
    open_by = asked.approval.gates if asked.approval else []
    stands = _asked(case, asked)
    return {
        "action_digest": _digest(case),
        "person": stands.person,
        "agent": stands.agent,
        "chain": list(stands.chain),
        "owners": list(stands.owners),
        "server": asked.tool.server,
        "tool": asked.tool.name,
        "definition_digest": case.query.tool.definition_digest or "",
        "gates": sorted({*open_by, *(reason.code for reason in verdict.reasons)}),
        "plan": msgspec.to_builtins(verdict.plan),
        "shown": _shown(case, asked, verdict, world),
        "decision": case.id,
        "pep": case.pep,
    }


def _asked(case: Case, asked: PolicyInput) -> Asked:
    if case.caller is None:
        raise AssertionError("approvals were reached before identify had answered")
    agent = asked.caller.agent
    owners = agent.owners if agent is not None and asked.caller.person is None else []
    return Asked(case.caller.person, case.caller.agent, tuple(case.caller.basis.chain), tuple(owners))


def _shown(case: Case, asked: PolicyInput, verdict: Verdict, world: World) -> Row:
    masked = masked_call(case, world)
    spoken = masked.spoken
    return {
        "action": action_on_record(case, masked, world),
        "caller": msgspec.to_builtins(asked.caller),
        "tool": msgspec.to_builtins(asked.tool),
        "arguments": spoken.arguments,
        "context": spoken.context,
        "risk": msgspec.to_builtins(asked.risk),
        "reasons": msgspec.to_builtins(verdict.reasons),
    }


def _digest(case: Case) -> str:
    if case.caller is None:
        raise AssertionError("approvals were reached before identify had answered")
    return action_digest(
        person=case.caller.person, agent=case.caller.agent, tool=case.query.tool, arguments=case.query.arguments
    )
