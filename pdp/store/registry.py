"""Tool definitions: rows in, rows out. A row is one digest of one tool; contents never change, standing does."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .changes import append
from .tables import servers, tools

Row = dict[str, Any]
Name = tuple[str, str]  # server, tool


async def read_tools(connection: AsyncConnection, names: set[Name] | None = None) -> list[Row]:
    """Return every known definition of these tools, of all tools without `names`; oldest first."""
    query = select(tools).order_by(tools.c.server, tools.c.name, tools.c.submitted_at, tools.c.digest)
    if names is not None:
        query = query.where(tuple_(tools.c.server, tools.c.name).in_(sorted(names)))
    rows = (await connection.execute(query)).mappings()
    return [{str(name): value for name, value in row.items()} for row in rows]  # not SQLAlchemy's subclass of str


async def read_server_scopes(connection: AsyncConnection) -> dict[str, list[str]]:
    """Return the scopes that a call of any tool of a server needs, by server."""
    rows = await connection.execute(select(servers.c.id, servers.c.required_scopes))
    return {row.id: row.required_scopes for row in rows}


async def add_tools(connection: AsyncConnection, rows: list[Row], now: datetime) -> None:
    """Insert definitions; `rows` have every column of `tools`."""
    if rows:
        await connection.execute(insert(tools), rows)
        await append(connection, "registry", {_change(row["server"], row["name"]) for row in rows}, now)


async def change_tool(connection: AsyncConnection, key: tuple[str, str, str], values: Row, now: datetime) -> None:
    """Set columns of one definition (server, name, digest), and say that it was reviewed at `now`."""
    server, name, digest = key
    this = (tools.c.server == server) & (tools.c.name == name) & (tools.c.digest == digest)
    await connection.execute(update(tools).where(this).values(**values, reviewed_at=rfc3339(now)))
    await append(connection, "registry", [_change(server, name)], now)


def changed_name(key: str) -> Name:
    """Return the tool that an entry of the change log speaks of. Raises `ValueError` for another kind of key."""
    server, name = json.loads(key)
    return server, name


def _change(server: str, name: str) -> tuple[str, str]:
    return "tool", json.dumps([server, name])  # either name may hold a slash
