"""The sentence for a list of tools: which of these may this caller call at all? Floors, and rules of stage `caller`.

Seeing is not calling: every call is decided by itself. One record stands for the whole list.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from .answer import Reason, Receipt, Revisions
from .decide import input_for, must_know, refused
from .engine import VISIBLE
from .engine.reply import read_result
from .enrich import enrich
from .errors import OtherPolicy, Refused, Rejected
from .flow import Case, by_one_policy, defended, open_case, sealed
from .identify import PLAIN, Asker, identify
from .query import MAX_NAME, Assertion, Credential, Query, ToolRef, check_credential
from .record import claimed, without_credentials
from .times import rfc3339
from .vet import Tool, vet_listed

if TYPE_CHECKING:
    from .flow import World
    from .identify import Caller
    from .policy.pack import Pack

MAX_TOOLS = 200  # as many as can be judged within the deadline (measured: 160 ms); larger servers page their list


class Listed(Struct, frozen=True, forbid_unknown_fields=True):
    """One tool as the adapter lists it."""

    name: str
    definition_digest: str | None = None


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tools/visible`."""

    caller: Credential
    server: str
    tools: list[Listed]


class Sight(Struct, frozen=True):
    """Whether one tool may be called at all."""

    name: str
    visible: bool


class Visible(Struct, frozen=True, omit_defaults=True):
    """The tools in the order asked; `reasons` say why a refused caller sees none."""

    id: str
    tools: list[Sight]
    revisions: Revisions
    evaluated_at: str
    receipt: Receipt | None = None
    reasons: list[Reason] = field(default_factory=list)


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    server: str
    name: str
    visible: bool
    permits: list[str]
    broken_guards: list[str]


class _Reply(Struct, frozen=True, forbid_unknown_fields=True):
    tools: list[_Entry]
    revision: str


class _View(Struct, frozen=True):
    """What a caller sees, and why nothing; `policy` is the revision that was asked, if it was."""

    seen: set[str] = field(default_factory=set)
    reasons: list[Reason] = field(default_factory=list)
    policy: str | None = None


class ListingRecord(Struct, frozen=True, omit_defaults=True):
    """The body of a `tools.visible` record: who asked, and for each tool whether it was shown.

    `asserted`: whom the adapter vouched for, without a token.
    """

    id: str
    pep: str
    request_id: str
    server: str
    shown: list[str]
    hidden: list[str]
    revisions: Revisions
    reasons: list[Reason]
    person: str | None = None
    agent: str | None = None
    asserted: Assertion | None = None


def listing_from(value: Any) -> Listing:
    """Read the body of `POST /v1/tools/visible`. Raises `Rejected` 400."""
    try:
        listing = msgspec.convert(value, Listing)
    except msgspec.ValidationError:
        raise Rejected(400, "query.malformed", "The body takes `caller`, `server` and `tools`.") from None
    check_credential(listing.caller)
    if len(listing.tools) > MAX_TOOLS or not 0 < len(listing.server) <= MAX_NAME:
        raise Rejected(400, "query.malformed", f"A list names one server and at most {MAX_TOOLS} tools.")
    if not all(0 < len(tool.name) <= MAX_NAME for tool in listing.tools):
        raise Rejected(400, "query.malformed", f"A tool's name has 1 to {MAX_NAME} characters.")
    if len({tool.name for tool in listing.tools}) != len(listing.tools):
        raise Rejected(400, "query.malformed", "A list names no tool twice.")
    return listing


async def visible(listing: Listing, pep: str, request_id: str, world: World, asker: Asker = PLAIN) -> Visible:
    """Say which tools of a list the caller may call at all, and record it. Raises `Unrecorded`.

    `asker`: what the key of `pep` lets it do, and demands.
    """
    query = Query(caller=listing.caller, tool=ToolRef(server=listing.server, name="*"))
    with world.policy.held() as policy:
        case = open_case(query, pep, request_id, world, policy, asker=asker)
        view = await _judge(case, listing, world)
    body = _record(case, listing, view)
    receipt = await sealed(case, _write(body, listing.caller, world))
    case.end("listed", [reason.code for reason in view.reasons])
    return Visible(
        id=case.id,
        tools=[Sight(tool.name, tool.name in view.seen) for tool in listing.tools],
        revisions=body.revisions,
        evaluated_at=rfc3339(case.received_at),
        receipt=receipt,
        reasons=view.reasons,
    )


async def _judge(case: Case, listing: Listing, world: World) -> _View:
    try:
        with defended(case, world.deadlines.at(case.deadline)):
            case.identity = world.people.revision
            case.caller = caller = await case.word("identify", identify(case.query, world, case.asker))
            case.registry = world.tools.revision
            return await by_one_policy(case, caller, world, partial(_view, listing))
    except Refused as refusal:
        return _View(reasons=refused(refusal).reasons)


async def _view(listing: Listing, case: Case, caller: Caller, world: World) -> _View:
    pack, engine = case.policy.pack, case.policy.engine
    calls = []
    for listed in listing.tools:
        tool = await _standing(listing.server, listed, world)
        if tool is not None:
            query = msgspec.structs.replace(case.query, tool=ToolRef(server=tool.server, name=tool.name))
            facts = await enrich(caller, query, pack.weights, world)
            calls.append(input_for(case, caller, facts, tool, world))
    if not calls:
        return _View()
    asking = engine.evaluate(VISIBLE, msgspec.json.encode({"calls": calls}), case.deadline)
    with case.asking():
        body = await case.word("decide", asking)
    asked = [(call.tool.server, call.tool.name) for call in calls]
    return _View(seen=_read(body, asked, pack), policy=pack.revision)


def _record(case: Case, listing: Listing, view: _View) -> ListingRecord:
    caller = case.caller
    names = [tool.name for tool in listing.tools]
    return ListingRecord(
        id=case.id,
        pep=case.pep,
        request_id=case.request_id,
        server=listing.server,
        shown=[name for name in names if name in view.seen],
        hidden=[name for name in names if name not in view.seen],
        revisions=Revisions(policy=view.policy, identity=case.identity, registry=case.registry),
        reasons=view.reasons,
        person=caller.person if caller else None,
        agent=caller.agent if caller else None,
        asserted=claimed(listing.caller),
    )


async def _write(body: ListingRecord, credential: Credential, world: World) -> Receipt:
    deadline = asyncio.get_running_loop().time() + world.record_within
    line = without_credentials(body, credential)
    return await world.log.append("tools.visible", line, durable=False, deadline=deadline)


async def _standing(server: str, listed: Listed, world: World) -> Tool | None:
    try:
        return await vet_listed(server, listed.name, listed.definition_digest, world)
    except Refused as refusal:
        if not refusal.code.startswith("tool."):
            raise
        return None


def _read(body: bytes, asked: list[tuple[str, str]], pack: Pack) -> set[str]:
    reply = read_result(body, _Reply)
    if reply.revision != pack.revision:
        raise OtherPolicy(pack.revision, reply.revision)
    if [(entry.server, entry.name) for entry in reply.tools] != asked:
        raise Refused("engine.garbled", "the list came back with other tools than were asked about")
    for entry in reply.tools:
        must_know(pack, permits=entry.permits, guards=entry.broken_guards)
        if entry.visible and (entry.broken_guards or not entry.permits):
            raise Refused("engine.garbled", f"{entry.name} is visible against its own rules")
    return {entry.name for entry in reply.tools if entry.visible}
