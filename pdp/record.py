"""Record: Verdict -> Receipt. Written, and where it matters on the disk, before anyone is told."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from .answer import Decision, Reason, Receipt, Revisions, Risk
from .audit.mask import Masked, Spoken, without
from .query import MAX_NAME, Assertion, Credential, ToolRef, action_digest
from .times import rfc3339

if TYPE_CHECKING:
    from .decide import PolicyInput, Verdict
    from .flow import Case, World

SHORTEST_TOKEN = 16  # characters; what is shorter was refused as a token, and occurs in any text
TOKEN_PREFIX = 16  # hex digits of the token's SHA-256: enough to find its other calls, useless to present


class CallerIds(Struct, frozen=True, omit_defaults=True):
    """Who called, as verified. `asserted`: an adapter vouched for it, no token was verified."""

    verified_by: str
    mode: str
    client: str
    session: str
    person: str | None = None
    agent: str | None = None
    delegation: str | None = None
    asserted: bool = False


class DecisionRecord(Struct, frozen=True, omit_defaults=True):
    """The body of a `decision` record (contracts, section 7); parts the call did not reach are absent.

    `input` is what the policy was asked, masked; for a call refused before that, its arguments and context.
    `asserted`: whom the adapter vouched for without a token, whether or not it was believed.
    `masked` points to what was masked in `input`: as far as rules looked there, the decision cannot be replayed.
    """

    id: str
    pep: str
    request_id: str
    received_at: str
    decision: Decision
    reasons: list[Reason]
    tool: ToolRef
    revisions: Revisions
    latency_us: int
    input: PolicyInput | dict[str, Any]
    caller: CallerIds | None = None
    token_sha256: str | None = None
    asserted: Assertion | None = None
    action_digest: str | None = None
    risk: Risk | None = None
    duties: list[dict[str, Any]] = field(default_factory=list)
    permits: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    approval: str | None = None
    trace: str | None = None
    note: str = ""


async def record(case: Case, verdict: Verdict, world: World) -> Receipt:
    """Write a decision into the log; calls that can change the world wait for the disk, reads for the file.

    Raises `Unrecorded`: then nobody may be told the verdict.
    """
    deadline = asyncio.get_running_loop().time() + world.record_within
    body = decision_record(case, verdict, world, int((time.perf_counter() - case.started) * 1_000_000))
    durable = _risk_class(case, world) != "read"
    line = without_credentials(body, case.query.caller)
    return await world.log.append("decision", line, durable=durable, deadline=deadline)


def decision_record(case: Case, verdict: Verdict, world: World, latency_us: int) -> DecisionRecord:
    """Put together what is recorded of a decided call, sensitive values masked and without any credential."""
    masked = masked_call(case, world)
    return DecisionRecord(
        id=case.id,
        pep=case.pep,
        request_id=case.request_id[:MAX_NAME],
        received_at=rfc3339(case.received_at),
        decision=verdict.effect,
        reasons=verdict.reasons,
        tool=_short(case.query.tool),
        revisions=case.revisions(verdict),
        latency_us=latency_us,
        input=_input(case, masked),
        caller=_caller_ids(case),
        token_sha256=_token_digest(case.query.caller.access_token),
        asserted=claimed(case.query.caller),
        action_digest=action_on_record(case, masked, world),
        risk=case.facts.risk if case.facts else None,
        duties=verdict.duties,
        permits=verdict.permits,
        masked=masked.pointers,
        approval=_approval(case, verdict),
        trace=case.trace.id if case.trace else None,
        note=verdict.note,
    )


def _approval(case: Case, verdict: Verdict) -> str | None:
    """Return the approval that an allow used up, the request that was opened, or what the caller named."""
    asked = verdict.ticket.id if verdict.ticket else case.query.approval
    return verdict.redeems or (asked[:MAX_NAME] if asked else None)


def _risk_class(case: Case, world: World) -> str:
    if case.tool is not None:
        return case.tool.risk_class
    return world.tools.impact(case.query.tool.server, case.query.tool.name)[0]


def masked_call(case: Case, world: World) -> Masked:
    """Return what the caller said, with the values that labels call sensitive masked."""
    parsed = msgspec.to_builtins(case.input.parsed) if case.input else {}
    labels = case.tool.argument_labels if case.tool else None
    return world.masker.mask(Spoken(case.query.arguments, parsed, case.query.context), labels)


def _input(case: Case, masked: Masked) -> PolicyInput | dict[str, Any]:
    spoken = masked.spoken
    if case.input is None:
        return {"arguments": spoken.arguments, "context": spoken.context}
    return replace(case.input, arguments=spoken.arguments, parsed=spoken.parsed, context=spoken.context)


def _caller_ids(case: Case) -> CallerIds | None:
    caller = case.caller
    if caller is None:
        return None
    return CallerIds(
        verified_by=caller.verified_by,
        mode=caller.mode,
        client=caller.client.id,
        session=caller.session.id,
        person=caller.person,
        agent=caller.agent,
        delegation=caller.delegation,
        asserted=caller.verified_by != "pdp",
    )


def action_on_record(case: Case, masked: Masked, world: World) -> str | None:
    """Return what stands for the action wherever it is written down or shown; None before anybody is identified."""
    if case.caller is None:
        return None
    digest = action_digest(
        person=case.caller.person, agent=case.caller.agent, tool=case.query.tool, arguments=case.query.arguments
    )
    # A plain digest of few possible values can be reversed by trying them; a masked one must not be.
    return world.masker.seal(digest.encode()) if masked.pointers else digest


def without_credentials(body: Struct, credential: Credential) -> msgspec.Raw:
    """Encode a record, cutting out the caller's credentials wherever somebody may have put them."""
    # Our own fields never hold a token; but an adapter, a caller or an error text may have put one anywhere.
    line = msgspec.json.encode(body)
    for secret in (credential.access_token, credential.dpop.proof if credential.dpop else None):
        if secret and len(secret) >= SHORTEST_TOKEN and msgspec.json.encode(secret)[1:-1] in line:
            line = msgspec.json.encode(without(msgspec.json.decode(line), secret))
    return msgspec.Raw(line)


def claimed(credential: Credential) -> Assertion | None:
    """Return whom an adapter claims to speak for, cut to the length of a name."""
    said = credential.asserted
    if said is None:
        return None
    return Assertion(said.person and said.person[:MAX_NAME], said.agent and said.agent[:MAX_NAME])


def _token_digest(token: str | None) -> str | None:
    return hashlib.sha256(token.encode()).hexdigest()[:TOKEN_PREFIX] if token else None


def _short(tool: ToolRef) -> ToolRef:
    digest, toolset = tool.definition_digest, tool.toolset_digest
    return ToolRef(tool.server, tool.name, digest and digest[:MAX_NAME], toolset and toolset[:MAX_NAME])
