"""Decisions and their outcomes: a projection of the logs of all workers, so that any of them can answer for all."""

from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .insert import insert_new
from .tables import decisions, outcomes

Row = dict[str, Any]


class Decided(NamedTuple):
    """A recorded decision: the adapter that asked, the line of the log, and the line of its outcome if one came."""

    id: str
    pep: str
    entry: str
    outcome: str | None


async def project(connection: AsyncConnection, decided: list[Row], ended: list[Row]) -> None:
    """Add rows of `decisions` and `outcomes`; what is there already stays, so that repeating is harmless."""
    for table, rows in ((decisions, decided), (outcomes, ended)):
        if rows:
            await connection.execute(insert_new(connection, table), rows)


async def projected(connection: AsyncConnection, origin: str) -> int:
    """Return the index behind the last entry of this log that was projected; 0 before the first."""
    last = -1
    for table in (decisions, outcomes):
        query = select(func.max(table.c.position)).where(table.c.origin == origin)
        found: int | None = (await connection.execute(query)).scalar_one()
        last = max(last, -1 if found is None else found)
    return last + 1


async def forget_from(connection: AsyncConnection, origin: str, position: int) -> None:
    """Remove what was projected from entries that the log lost in a power cut: it will use their indexes again."""
    for table in (decisions, outcomes):
        lost = (table.c.origin == origin) & (table.c.position >= position)
        await connection.execute(delete(table).where(lost))


async def find_decision(connection: AsyncConnection, identifier: str) -> Decided | None:
    """Return one decision by its id, `None` when no worker has projected it (yet)."""
    return (await find_decisions(connection, {identifier})).get(identifier)


async def find_decisions(connection: AsyncConnection, identifiers: set[str]) -> dict[str, Decided]:
    """Return decisions by their ids; without those that no worker has projected (yet)."""
    query = select(decisions.c.id, decisions.c.pep, decisions.c.entry, outcomes.c.entry.label("outcome"))
    query = query.outerjoin_from(decisions, outcomes, outcomes.c.decision == decisions.c.id)
    rows = await connection.execute(query.where(decisions.c.id.in_(identifiers)))
    return {row.id: Decided(*row) for row in rows}
