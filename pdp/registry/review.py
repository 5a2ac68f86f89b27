"""Review: definitions come in, and a person approves, quarantines or revokes them. Nothing happens off the record.

Each change is written into the log inside its transaction, before the commit: what cannot be recorded does not
happen. (A record whose commit then failed says more than is true, never less.)
"""

import asyncio
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from ..audit.office import Office
from ..errors import Fault
from ..query import ToolRef, definition_digest
from ..store.registry import Row, add_tools, change_tool, read_tools
from ..store.sql import changing
from ..times import rfc3339
from .arguments import Checker
from .definitions import Definition
from .labels import Review, check_review
from .sources import named_definitions
from .states import RECORDED_AS, Status, Step, after


class Submitted(Struct, frozen=True):
    """What became of one imported definition. `status` is `submitted` when it is new, else the one it already has."""

    server: str
    name: str
    digest: str
    new: bool
    status: Status


async def submit(office: Office, server: str, definitions: list[dict[str, Any]], source: str) -> list[Submitted]:
    """Take in what a server lists; what is new awaits review and counts as `privileged`. All or nothing.

    Raises `Fault` for a list that breaks the limits, `Unrecorded` and `StoreUnavailable`.
    """
    named = named_definitions(server, definitions)
    now = office.now()
    async with changing(office.store) as connection:
        rows = await read_tools(connection, {(server, name) for name, _ in named})
        known: dict[tuple[str, str], Status] = {(row["name"], row["digest"]): row["status"] for row in rows}
        fresh = [key for key in named if key not in known]
        await add_tools(connection, [_row(server, key, named[key], source, now) for key in fresh], now)
        bodies = [{"server": server, "name": name, "digest": digest, "source": source} for name, digest in fresh]
        await asyncio.gather(*(office.put_on_record("registry.submitted", body) for body in bodies))
    return [Submitted(server, *key, key not in known, known.get(key, "submitted")) for key in named]


async def approve(office: Office, tool: ToolRef, review: Review, by: str) -> Definition:
    """Put a definition in force; the one approved before is superseded in the same breath.

    Approving the definition in force again changes its class, owner, labels or scopes, if they differ.
    Without a digest in `tool` there must be exactly one definition that awaits review. Raises `Fault`, `Unrecorded` and
    `StoreUnavailable`.
    """
    now = office.now()
    async with changing(office.store) as connection:
        rows = await read_tools(connection, {(tool.server, tool.name)})
        chosen = _choose(rows, tool, "submitted")
        step: Step = "review" if chosen["status"] == "approved" else "approve"
        values = _approved(chosen, review, step, by)
        if step == "review" and _same(chosen, values):
            return msgspec.convert(chosen, Definition)
        body = _body(chosen, by) | {"review": review}
        for row in rows:
            if row["status"] == "approved" and row is not chosen:
                await change_tool(connection, _key(row), _moved(row, "supersede", by), now)
                body["supersedes"] = row["digest"]
        await change_tool(connection, _key(chosen), values, now)
        await office.put_on_record(RECORDED_AS[step], body)
    return msgspec.convert(chosen | values | {"reviewed_at": rfc3339(now)}, Definition)


async def quarantine(office: Office, tool: ToolRef, reason: str, by: str) -> Definition:
    """Stop a definition until it is approved again; without a digest, the one in force. Raises as `approve` does."""
    return await _move(office, tool, "quarantine", reason, by)


async def revoke(office: Office, tool: ToolRef, reason: str, by: str) -> Definition:
    """Withdraw a definition for good; without a digest, the one in force. Raises as `approve` does."""
    return await _move(office, tool, "revoke", reason, by)


async def _move(office: Office, tool: ToolRef, step: Step, reason: str, by: str) -> Definition:
    now = office.now()
    async with changing(office.store) as connection:
        rows = await read_tools(connection, {(tool.server, tool.name)})
        chosen = _choose(rows, tool, "approved")
        values = _moved(chosen, step, by)
        await change_tool(connection, _key(chosen), values, now)
        await office.put_on_record(RECORDED_AS[step], _body(chosen, by) | {"reason": reason})
    return msgspec.convert(chosen | values | {"reviewed_at": rfc3339(now)}, Definition)


def _row(server: str, key: tuple[str, str], definition: dict[str, Any], source: str, now: datetime) -> Row:
    name, digest = key
    return {
        "server": server,
        "name": name,
        "digest": digest,
        "status": "submitted",
        "risk_class": "privileged",
        "labels": [],
        "owner": "",
        "required_scopes": [],
        "argument_labels": {},
        "definition": definition,
        "source": source,
        "submitted_at": rfc3339(now),
    }


def _choose(rows: list[Row], tool: ToolRef, status: Status) -> Row:
    digest = tool.definition_digest
    wanted = [row for row in rows if (row["status"] == status if digest is None else row["digest"] == digest)]
    if digest is None and not wanted:  # nothing awaits review: then the one in force is meant
        wanted = [row for row in rows if row["status"] == "approved"]
    if len(wanted) != 1:
        known = ", ".join(f"{row['digest']} ({row['status']})" for row in rows) or "none"
        raise Fault(f"Which definition of {tool.server}/{tool.name}? Give its digest; known: {known}.")
    return wanted[0]


def _key(row: Row) -> tuple[str, str, str]:
    return row["server"], row["name"], row["digest"]


def _body(row: Row, by: str) -> dict[str, Any]:
    return {"server": row["server"], "name": row["name"], "digest": row["digest"], "by": by}


def _approved(row: Row, review: Review, step: Step, by: str) -> Row:
    if definition_digest(row["definition"]) != row["digest"]:
        raise Fault(f"The stored definition of {row['server']}/{row['name']} was changed: import it again.")
    Checker(row["definition"])  # what cannot be checked cannot be approved
    check_review(review, row["definition"])
    return _moved(row, step, by) | {
        "risk_class": review.risk_class,
        "labels": sorted(set(review.labels)),
        "owner": review.owner,
        "required_scopes": sorted(set(review.required_scopes)),
        "argument_labels": review.argument_labels,
    }


def _same(row: Row, values: Row) -> bool:
    return all(row[name] == value for name, value in values.items() if name != "reviewed_by")


def _moved(row: Row, step: Step, by: str) -> Row:
    return {"status": after(row["status"], step), "reviewed_by": by}
