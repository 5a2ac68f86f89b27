"""What is still to be told about approvals, in the store: added with the transition it tells of, removed when told.

A row is claimed by moving its `due_at` on, in one statement; a sender that dies lets its claim run out, and another
sends the same message again. Times are the database's.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .moment import moment
from .tables import approval_outbox

Row = dict[str, Any]
UNADDRESSED = ""
TABLE = approval_outbox
WAITING = TABLE.c.state == "waiting"


async def add_message(connection: AsyncConnection, row: Row, after_s: int = 0) -> None:
    """Add an event (id, event, request and told) that others are to be told of, `after_s` seconds from now."""
    at = rfc3339(await moment(connection) + timedelta(seconds=after_s))
    rest = {"destination": UNADDRESSED, "state": "waiting", "attempts": 0, "error": "", "at": at, "due_at": at}
    await connection.execute(insert(TABLE).values(**row, **rest))


async def withdraw_messages(connection: AsyncConnection, request: str, events: Collection[str]) -> None:
    """Remove the messages of these events about a request, also those that failed before and would be sent again.

    One that is on its way now arrives, or not: its sender finds nothing left to put off or to remove.
    """
    this = TABLE.c.request == request, TABLE.c.event.in_(events), WAITING
    await connection.execute(delete(TABLE).where(*this))


async def address_messages(connection: AsyncConnection, audience: Mapping[str, Collection[str]], limit: int) -> None:
    """Replace events that are due by a message for each destination that wants them (name -> its events)."""
    now = rfc3339(await moment(connection))
    due = TABLE.c.destination == UNADDRESSED, TABLE.c.due_at <= now
    some = select(TABLE).where(*due).order_by(TABLE.c.due_at, TABLE.c.id).limit(limit)
    found = (await connection.execute(some.with_for_update(skip_locked=True))).mappings().all()
    copies = [
        {**row, "destination": name} for row in found for name, events in audience.items() if row["event"] in events
    ]
    if found:
        ids = [row["id"] for row in found]
        await connection.execute(delete(TABLE).where(TABLE.c.destination == UNADDRESSED, TABLE.c.id.in_(ids)))
    if copies:
        await connection.execute(insert(TABLE), copies)


async def is_due(connection: AsyncConnection, destination: str = UNADDRESSED) -> bool:
    """Say whether there is anything to send to a destination, or to address: a look that holds up no writer."""
    now = rfc3339(await moment(connection))
    due = select(TABLE.c.id).where(TABLE.c.destination == destination, WAITING, TABLE.c.due_at <= now)
    return (await connection.execute(due.limit(1))).first() is not None


async def is_old(connection: AsyncConnection, given_up_s: int, forgotten_s: int) -> bool:
    """Say whether there are messages to give up, or dead ones to forget, after so many seconds."""
    now = await moment(connection)
    given_up, forgotten = (rfc3339(now - timedelta(seconds=seconds)) for seconds in (given_up_s, forgotten_s))
    old = select(TABLE.c.id).where(or_(and_(WAITING, TABLE.c.at <= given_up), TABLE.c.at <= forgotten))
    return (await connection.execute(old.limit(1))).first() is not None


async def claim_messages(connection: AsyncConnection, destination: str, limit: int, for_s: int) -> list[Row]:
    """Claim messages for a destination that are due, for `for_s` seconds: nobody else gets them meanwhile."""
    now = await moment(connection)
    due = TABLE.c.destination == destination, WAITING, TABLE.c.due_at <= rfc3339(now)
    some = select(TABLE.c.id).where(*due).order_by(TABLE.c.due_at, TABLE.c.id).limit(limit)
    claimed = update(TABLE).where(*due, TABLE.c.id.in_(some.with_for_update(skip_locked=True)))
    values = {"attempts": TABLE.c.attempts + 1, "due_at": rfc3339(now + timedelta(seconds=for_s))}
    return await _rows(connection, claimed.values(**values).returning(TABLE))


async def remove_message(connection: AsyncConnection, row: Row) -> None:
    """Remove a message that was delivered, whoever has claimed it by now."""
    await connection.execute(delete(TABLE).where(_key(row)))


async def postpone_message(connection: AsyncConnection, row: Row, by_s: int, error: str) -> None:
    """Let a message that was not delivered be due again in `by_s` seconds, unless somebody else has claimed it."""
    due = rfc3339(await moment(connection) + timedelta(seconds=by_s))
    this = _key(row), TABLE.c.attempts == row["attempts"]
    await connection.execute(update(TABLE).where(*this).values(due_at=due, error=error))


async def bury_message(connection: AsyncConnection, row: Row, error: str) -> None:
    """Give a message up; it stays in the table."""
    await connection.execute(update(TABLE).where(_key(row)).values(state="dead", error=error))


async def bury_old_messages(connection: AsyncConnection, after_s: int) -> int:
    """Give up what was not delivered `after_s` seconds after it was due first; returns how many."""
    since = rfc3339(await moment(connection) - timedelta(seconds=after_s))
    query = update(TABLE).where(WAITING, TABLE.c.at <= since).values(state="dead")
    return (await connection.execute(query)).rowcount


async def forget_dead_messages(connection: AsyncConnection, after_s: int) -> None:
    """Remove dead messages of more than `after_s` seconds ago."""
    since = rfc3339(await moment(connection) - timedelta(seconds=after_s))
    await connection.execute(delete(TABLE).where(TABLE.c.state == "dead", TABLE.c.at <= since))


async def read_messages(connection: AsyncConnection) -> list[Row]:
    """Return every message that is not delivered, oldest first."""
    return await _rows(connection, select(TABLE).order_by(TABLE.c.at, TABLE.c.id, TABLE.c.destination))


def _key(row: Row) -> Any:
    return tuple_(TABLE.c.id, TABLE.c.destination) == (row["id"], row["destination"])


async def _rows(connection: AsyncConnection, query: Any) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in (await connection.execute(query)).mappings()]
