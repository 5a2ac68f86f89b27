"""The sentence for a list of tools: which of these may this caller call at all? Floors, and rules of stage `caller`.

Seeing is not calling: every call is decided by itself. One record stands for the whole list.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from .answer import Reason, Receipt, Revisions
from .decide import HEAD_START, input_for, refused
from .engine import VISIBLE
from .enrich import enrich
from .errors import Refused, Rejected
from .flow import Case, open_case
from .identify import identify
from .query import MAX_NAME, Assertion, Credential, Query, ToolRef, check_credential
from .record import claimed, without_credentials
from .times import rfc3339
from .vet import Tool, vet_listed

if TYPE_CHECKING:
    from .flow import World

logger = logging.getLogger(__name__)

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


async def visible(listing: Listing, pep: str, request_id: str, world: World, voucher: str | None = None) -> Visible:
    """Say which tools of a list the caller may call at all, and record it. Raises `Unrecorded`.

    `voucher`: `pep` again if its key lets it vouch for callers; else None.
    """
    query = Query(caller=listing.caller, tool=ToolRef(server=listing.server, name="*"))
    case = open_case(query, pep, request_id, world, voucher)
    seen, reasons = await _judge(case, listing, world)
    names = [tool.name for tool in listing.tools]
    facts = case.facts.revision if case.facts else None
    revisions = Revisions(policy=world.pack.revision, identity=facts, registry=case.registry)
    body = ListingRecord(
        id=case.id,
        pep=pep,
        request_id=request_id,
        server=listing.server,
        shown=[name for name in names if name in seen],
        hidden=[name for name in names if name not in seen],
        revisions=revisions,
        reasons=reasons,
        person=case.caller.person if case.caller else None,
        agent=case.caller.agent if case.caller else None,
        asserted=claimed(listing.caller),
    )
    deadline = asyncio.get_running_loop().time() + world.record_within
    receipt = await world.log.append(
        "tools.visible", without_credentials(body, listing.caller), durable=False, deadline=deadline
    )
    return Visible(
        id=case.id,
        tools=[Sight(name, name in seen) for name in names],
        revisions=revisions,
        evaluated_at=rfc3339(case.received_at),
        receipt=receipt,
        reasons=reasons,
    )


async def _judge(case: Case, listing: Listing, world: World) -> tuple[set[str], list[Reason]]:
    try:
        async with asyncio.timeout_at(case.deadline):
            return await _seen(case, listing, world), []
    except Refused as refusal:
        return set(), refused(refusal).reasons
    except TimeoutError:
        return set(), refused(Refused("deadline")).reasons


async def _seen(case: Case, listing: Listing, world: World) -> set[str]:
    case.caller = await identify(case.query, world, case.voucher)
    case.registry = world.tools.revision
    calls = []
    for listed in listing.tools:
        tool = await _standing(listing.server, listed, world)
        if tool is not None:
            query = msgspec.structs.replace(case.query, tool=ToolRef(server=tool.server, name=tool.name))
            case.facts = await enrich(case.caller, query, world)
            calls.append(input_for(case, case.caller, case.facts, tool, world))
    if not calls:
        return set()
    body = await world.engine.evaluate(VISIBLE, msgspec.json.encode({"calls": calls}), case.deadline - HEAD_START)
    return _read(body, calls_asked=[(call.tool.server, call.tool.name) for call in calls], world=world)


async def _standing(server: str, listed: Listed, world: World) -> Tool | None:
    try:
        return await vet_listed(server, listed.name, listed.definition_digest, world)
    except Refused as refusal:
        if not refusal.code.startswith("tool."):
            raise
        return None


def _read(body: bytes, calls_asked: list[tuple[str, str]], world: World) -> set[str]:
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except msgspec.DecodeError as error:
        raise Refused("engine.garbled", str(error)) from None
    if reply.revision != world.pack.revision:
        raise Refused("engine.revision", f"expected {world.pack.revision}, the engine runs {reply.revision}")
    if [(entry.server, entry.name) for entry in reply.tools] != calls_asked:
        raise Refused("engine.garbled", "the list came back with other tools than were asked about")
    return {entry.name for entry in reply.tools if entry.visible}
