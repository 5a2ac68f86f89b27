"""Signals: evidence for risk about a person, an agent or a session, one row each."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .changes import append
from .tables import signals

Row = dict[str, Any]


async def stored_signal(connection: AsyncConnection, identifier: str) -> Row | None:
    """Return a signal by its id, None when there is none."""
    row = (await connection.execute(select(signals).where(signals.c.id == identifier))).mappings().first()
    return {str(name): value for name, value in row.items()} if row else None


async def add_signal(connection: AsyncConnection, row: Row, now: datetime) -> None:
    """Insert a signal; `row` has the columns of `signals`. Whoever caches what it is about forgets it."""
    kind = "session" if row["entity_kind"] == "session" else "principal"
    await connection.execute(insert(signals).values(row))
    await append(connection, "identity", [(kind, row["entity"])], now)
