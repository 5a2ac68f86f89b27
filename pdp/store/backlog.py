"""What waits for people and for receivers: how much, and since when. For operators, and never on the decision path."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import parse_rfc3339, rfc3339
from .moment import moment
from .tables import approval_outbox, approval_requests


class Backlog(NamedTuple):
    """Requests that are open, messages that are due, messages that were given up; ages of the oldest in seconds."""

    open: int
    oldest_open_s: float
    due: int
    oldest_due_s: float
    dead: int


async def read_backlog(connection: AsyncConnection) -> Backlog:
    """Count what waits now, by the clock of the database."""
    now = await moment(connection)
    asked, box = approval_requests.c, approval_outbox.c
    open_, opened_at = await _count(connection, asked.opened_at, asked.state == "open")
    due, due_since = await _count(connection, box.at, box.state == "waiting", box.at <= rfc3339(now))
    dead, _ = await _count(connection, box.at, box.state == "dead")
    return Backlog(open_, _age_s(opened_at, now), due, _age_s(due_since, now), dead)


async def _count(
    connection: AsyncConnection, since: ColumnElement[Any], *which: ColumnElement[bool]
) -> tuple[int, str | None]:
    found = (await connection.execute(select(func.count(), func.min(since)).where(*which))).one()
    return found[0], found[1]


def _age_s(since: str | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - parse_rfc3339(since)).total_seconds())
