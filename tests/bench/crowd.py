"""Crowds: so many people and tools beside those that are asked about, for the rows that ask whether size matters."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.query import definition_digest
from pdp.store.registry import add_tools
from pdp.store.sql import Store, open_store, transaction
from pdp.times import rfc3339, system_clock

from . import people

RIGHTS_EACH = 3  # entitlements of a person of their own
PEOPLE_A_GROUP = 100
TOOLS_A_SERVER = 100
NEWCOMERS = 64  # of the crowd at most, who call for the first time while we look


class Imported(Struct, frozen=True):
    """What bringing in a crowd cost: its people, with groups and rights, as `rows`, and its tools."""

    people: int
    rows: int
    seconds: float
    tools_s: float
    store_mib: float


async def bring_in_catalog(data_dir: Path, definitions: list[dict[str, Any]]) -> None:
    """Bring tools of the second server into the store of a data directory."""
    store = await open_store(f"sqlite+aiosqlite:///{data_dir / 'pdp.db'}")
    now = system_clock()
    try:
        async with transaction(store) as connection:
            rows = [approved_row(people.CATALOG, definition, rfc3339(now)) for definition in definitions]
            await add_tools(connection, rows, now)
    finally:
        await store.dispose()


async def bring_in(data_dir: Path, size: int) -> Imported:
    """Import so many people, and as many approved tools, into the store of a data directory."""
    file = data_dir / "pdp.db"
    store = await open_store(f"sqlite+aiosqlite:///{file}")
    now = system_clock()
    try:
        body, began = _feed(size), time.perf_counter()
        rows = len(await import_identity(store, read_feed(body), now))
        imported = time.perf_counter()
        await _add_tools(store, size, now)
        ended = time.perf_counter()
    finally:
        await store.dispose()
    size_mib = round(file.stat().st_size / 2**20, 1)
    return Imported(size, rows, imported - began, ended - imported, size_mib)


def newcomers(size: int) -> list[str]:
    """Return the people of a crowd who may call what the bench calls."""
    return [f"crowd-{number}" for number in range(min(size, NEWCOMERS))]


def _feed(size: int) -> bytes:
    known = newcomers(size)
    crowd = [_member(number, known) for number in range(size)]
    groups = [{"id": f"team-{number}"} for number in range(size // PEOPLE_A_GROUP + 1)]
    delegations = [people.delegation(person, people.AGENTS[0]) for person in known]
    return json.dumps({"source": "crowd", "people": crowd, "groups": groups, "delegations": delegations}).encode()


def _member(number: int, known: list[str]) -> dict[str, Any]:
    name = f"crowd-{number}"
    return {
        "id": name,
        "aliases": people.alias(f"sub-{name}"),
        "groups": [f"team-{number // PEOPLE_A_GROUP}", *(["support"] if name in known else [])],
        "entitlements": [people.right(f"app-{number % 97}/tool-{turn}") for turn in range(RIGHTS_EACH)],
    }


async def _add_tools(store: Store, size: int, now: datetime) -> None:
    at = rfc3339(now)
    crowd = ((f"app-{number // TOOLS_A_SERVER}", people.plain_tool(f"tool-{number}")) for number in range(size))
    async with transaction(store) as connection:
        await add_tools(connection, [approved_row(server, definition, at) for server, definition in crowd], now)


def approved_row(server: str, definition: dict[str, Any], at: str) -> dict[str, Any]:
    """Return a tool as an approved one stands in the store: to approve many one by one would outlast the bench."""
    return {
        "server": server,
        "name": definition["name"],
        "digest": definition_digest(definition),
        "status": "approved",
        "risk_class": "read",
        "labels": ["orders"],
        "owner": "orders",
        "required_scopes": [],
        "argument_labels": {},
        "definition": definition,
        "source": "crowd",
        "submitted_at": at,
        "reviewed_at": at,
        "reviewed_by": "bench",
    }
