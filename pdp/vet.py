"""Vet: tool + definition digest + arguments -> Tool in good standing, or a refusal."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from .enrich import Impact
from .errors import Fault, Refused, Unrecorded
from .registry.states import refusal

if TYPE_CHECKING:
    from .flow import World
    from .query import Query
    from .registry.definitions import Definition


class Tool(Struct, frozen=True):
    """A registered tool whose approved definition is the one the adapter saw."""

    server: str
    name: str
    risk_class: Impact
    labels: list[str]
    owner: str
    required_scopes: list[str]
    argument_labels: dict[str, list[str]]


async def vet(query: Query, world: World) -> Tool:
    """Return the tool of a query whose arguments fit the approved schema. Raises `Refused` with `tool.*` or
    `facts.stale`.
    """
    tool, definition = await _in_standing(query.tool.server, query.tool.name, query.tool.definition_digest, world)
    try:
        checker = world.tools.checker(definition)
    except Fault as fault:
        raise Refused("tool.unapproved", str(fault)) from None
    checker.check(query.arguments)
    return tool


async def vet_listed(server: str, name: str, digest: str | None, world: World) -> Tool:
    """Return a tool from a list, without arguments: may it be called at all? Raises `Refused` as `vet` does."""
    tool, _ = await _in_standing(server, name, digest, world)
    return tool


async def _in_standing(server: str, name: str, digest: str | None, world: World) -> tuple[Tool, Definition]:
    known = world.tools.find(server, name)
    refused = refusal(known.statuses, digest)
    if refused is None and known.tool is not None and known.approved is not None:
        return known.tool, known.approved
    code, note = refused or ("tool.unapproved", "the approved definition cannot be read")
    if known.approved is not None:
        await _put_drift_on_record(known.approved, digest, world)
    raise Refused(code, note)


async def _put_drift_on_record(approved: Definition, digest: str | None, world: World) -> None:
    server, name = approved.server, approved.name
    if digest is None or not world.tools.first_sight(server, name, digest):
        return
    body = {"server": server, "name": name, "seen": digest, "approved": approved.digest}
    deadline = asyncio.get_running_loop().time() + world.record_within
    with ExitStack() as undo:
        undo.callback(world.tools.forget_sight, server, name, digest)  # also when the deadline of the call cuts in
        with suppress(Unrecorded):  # the refusal itself still has to be recorded, or nobody is told
            await world.log.append("registry.drift", body, durable=False, deadline=deadline)
            undo.pop_all()
