"""Signals: evidence for risk about a person, an agent or a session, one row each."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .changes import append
from .tables import signals

Row = dict[str, Any]


async def stored_signal(connection: AsyncConnection, identifier: str) -> Row | None:
    """Return a signal by its id, None when there is none."""
    row = (await connection.execute(select(signals).where(signals.c.id == identifier))).mappings().first()
    return {str(name): value for name, value in row.items()} if row else None


async def count_signals(connection: AsyncConnection, entity_kind: str, entity: str, source: str) -> int:
    """Return how many signals a source has about somebody."""
    table = signals.c
    these = table.entity_kind == entity_kind, table.entity == entity, table.source == source
    return int((await connection.execute(select(func.count()).where(*these))).scalar_one())


async def forget_expired(connection: AsyncConnection, entity_kind: str, entity: str, now: datetime) -> None:
    """Remove what is over about somebody; it counted for nothing any more."""
    table = signals.c
    over = table.entity_kind == entity_kind, table.entity == entity, table.expires_at <= rfc3339(now)
    await connection.execute(delete(signals).where(*over))


async def add_signal(connection: AsyncConnection, row: Row, now: datetime) -> None:
    """Insert a signal; `row` has the columns of `signals`. Whoever caches what it is about forgets it."""
    await connection.execute(insert(signals).values(row))
    await append(connection, "identity", [_touched(row)], now)


async def remove_signal(connection: AsyncConnection, row: Row, now: datetime) -> None:
    """Remove a signal. Whoever caches what it is about forgets it."""
    await connection.execute(delete(signals).where(signals.c.id == row["id"]))
    await append(connection, "identity", [_touched(row)], now)


def _touched(row: Row) -> tuple[str, str]:
    return "session" if row["entity_kind"] == "session" else "principal", row["entity"]
