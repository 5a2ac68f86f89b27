"""Requests, votes and approvals in the store. Every transition is one statement that compares and swaps.

Whoever loses a race changes nothing and learns it (`None`): two approvers, a vote and an expiry, sixty-four calls that
redeem one approval. Time is the database's (`moment.py`), and expiry is in every condition, so that a late sweep is
harmless.
"""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, Table, and_, case, func, literal, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .insert import insert_new
from .moment import moment
from .tables import approval_requests, approval_votes, approvals

Row = dict[str, Any]
MARKED_TOGETHER = 16  # each is on the disk before the transaction ends, and what cuts one off has them all done again


async def open_request(connection: AsyncConnection, row: Row, within_s: int) -> Row | None:
    """Open a request that expires after `within_s` seconds; None when one for the same action is open already.

    `row` has every column but state, version and the times.
    """
    now = await moment(connection)
    times = {"opened_at": rfc3339(now), "expires_at": rfc3339(now + timedelta(seconds=within_s))}
    query = insert_new(connection, approval_requests).values(**row, **times, state="open", version=1)
    return await _one(connection, query.returning(*approval_requests.c))


async def read_request(connection: AsyncConnection, identifier: str) -> Row | None:
    """Return one request."""
    return await _one(connection, select(approval_requests).where(approval_requests.c.id == identifier))


async def read_open_request(connection: AsyncConnection, action_digest: str) -> Row | None:
    """Return the open request for an action, also one that has just run out and is not yet marked so."""
    this = approval_requests.c.action_digest == action_digest, approval_requests.c.state == "open"
    return await _one(connection, select(approval_requests).where(*this))


async def read_open_requests(connection: AsyncConnection, limit: int, after: tuple[str, str] = ("", "")) -> list[Row]:
    """Return the open requests, those that run out first before the others, at most `limit`.

    `after`: `expires_at` and `id` of the last one that was seen already.
    """
    table = approval_requests
    order = table.c.expires_at, table.c.id
    later = tuple_(*order) > tuple_(literal(after[0]), literal(after[1]))
    query = select(table).where(table.c.state == "open", later).order_by(*order).limit(limit)
    return [_plain(row) for row in (await connection.execute(query)).mappings()]


async def read_closed_requests(connection: AsyncConnection, person: str, limit: int) -> list[Row]:
    """Return the requests that are not open any more and that somebody voted on or stood behind, the newest first."""
    table, votes = approval_requests, approval_votes
    voted = select(votes.c.request).where(votes.c.person == person)
    theirs = or_(table.c.person == person, table.c.id.in_(voted))
    query = select(table).where(table.c.state != "open", theirs).order_by(table.c.id.desc()).limit(limit)
    return [_plain(row) for row in (await connection.execute(query)).mappings()]


async def read_approved_before(connection: AsyncConnection, request: Row) -> Row | None:
    """Return the last request for the same tool that was approved, other than this one."""
    table = approval_requests
    this = table.c.server == request["server"], table.c.tool == request["tool"], table.c.id != request["id"]
    approved = table.c.state == "approved", table.c.opened_at <= request["opened_at"]
    newest = table.c.decided_at.desc(), table.c.id.desc()
    return await _one(connection, select(table).where(*this, *approved).order_by(*newest).limit(1))


async def read_denied_before(connection: AsyncConnection, request: Row, limit: int) -> list[Row]:
    """Return the last requests of the same person (without one: of the same agent) for the same tool that were denied.

    The newest first, none that was opened after this one.
    """
    table = approval_requests
    who = "person" if request["person"] is not None else "agent"
    this = table.c.server == request["server"], table.c.tool == request["tool"], table.c[who] == request[who]
    same_kind = table.c.person.is_not_distinct_from(request["person"])
    denied = table.c.state == "denied", table.c.opened_at <= request["opened_at"], table.c.id != request["id"]
    newest = table.c.decided_at.desc(), table.c.id.desc()
    query = select(table).where(*this, same_kind, *denied).order_by(*newest).limit(limit)
    return [_plain(row) for row in (await connection.execute(query)).mappings()]


async def read_pulse(connection: AsyncConnection) -> tuple[int | str | None, ...]:
    """Return figures that change whenever a request is opened, voted on or closed, or an approval used or ended."""
    asked, granted = approval_requests, approvals
    requests = select(func.count(), func.sum(asked.c.version), func.max(asked.c.id)).where(asked.c.state == "open")
    rights = select(func.count(), func.sum(granted.c.uses_left)).where(granted.c.state == "active")
    first, second = (await connection.execute(requests)).one(), (await connection.execute(rights)).one()
    return (*first, *second)


async def read_denied(connection: AsyncConnection, action_digest: str, within_s: int) -> Row | None:
    """Return the newest request for an action that was denied in the last `within_s` seconds."""
    since = rfc3339(await moment(connection) - timedelta(seconds=within_s))
    table = approval_requests
    this = table.c.action_digest == action_digest, table.c.state == "denied", table.c.decided_at > since
    return await _one(connection, select(table).where(*this).order_by(table.c.decided_at.desc()).limit(1))


async def count_open_requests(
    connection: AsyncConnection, person: str | None, agent: str | None, other_than: str, within_s: int
) -> int:
    """Return how many requests of a caller are open, or were cancelled in the last `within_s` seconds.

    But for the open one about the action `other_than`. Nobody else counts for this caller until the transaction ends.
    """
    if connection.dialect.name == "postgresql":  # on SQLite a transaction that writes is alone
        caller = {"caller": f"pdp asks {json.dumps([person, agent])}"}
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:caller, 0))"), caller)
    now = await moment(connection)
    since = rfc3339(now - timedelta(seconds=within_s))
    table = approval_requests
    theirs = table.c.person.is_not_distinct_from(person), table.c.agent.is_not_distinct_from(agent)
    still_open = and_(table.c.state == "open", table.c.expires_at > rfc3339(now), table.c.action_digest != other_than)
    withdrawn = and_(table.c.state == "cancelled", table.c.decided_at > since)
    query = select(func.count()).select_from(table).where(*theirs, or_(still_open, withdrawn))
    return int((await connection.execute(query)).scalar_one())


async def read_votes(connection: AsyncConnection, request: str) -> list[Row]:
    """Return the votes on a request, oldest first."""
    query = select(approval_votes).where(approval_votes.c.request == request)
    rows = await connection.execute(query.order_by(approval_votes.c.at, approval_votes.c.person))
    return [_plain(row) for row in rows.mappings()]


async def read_dwell(connection: AsyncConnection, since: str) -> list[Row]:
    """Return every vote cast since a time: person, vote, at, and when its request was opened; oldest first."""
    cast = approval_votes.c.person, approval_votes.c.vote, approval_votes.c.at, approval_requests.c.opened_at
    joined = approval_votes.join(approval_requests, approval_votes.c.request == approval_requests.c.id)
    query = select(*cast).select_from(joined).where(approval_votes.c.at >= since).order_by(approval_votes.c.at)
    return [_plain(row) for row in (await connection.execute(query)).mappings()]


async def add_vote(connection: AsyncConnection, row: Row) -> Row | None:
    """Add a vote (every column but `at`); None when this person has voted. Goes with a `move_request`."""
    now = await moment(connection)
    query = insert_new(connection, approval_votes).values(**row, at=rfc3339(now))
    return await _one(connection, query.returning(*approval_votes.c))


async def move_request(
    connection: AsyncConnection, identifier: str, version: int, state: str, feedback: str = ""
) -> Row | None:
    """Move a request that is open, at `version` and not run out to `state`; None when it is not."""
    now = rfc3339(await moment(connection))
    table = approval_requests
    this = table.c.id == identifier, table.c.state == "open", table.c.version == version, table.c.expires_at > now
    values = {"state": state, "version": table.c.version + 1, "feedback": feedback}
    decided = {} if state == "open" else {"decided_at": now}
    return await _one(connection, update(table).where(*this).values(**values, **decided).returning(*table.c))


async def has_run_out(connection: AsyncConnection) -> bool:
    """Say whether a request or an approval has run out and is not marked so: a look that holds up no writer."""
    now = rfc3339(await moment(connection))
    late = select(approval_requests.c.id).where(
        approval_requests.c.state == "open", approval_requests.c.expires_at <= now
    )
    void = select(approvals.c.id).where(approvals.c.state == "active", approvals.c.not_after <= now)
    return (await connection.execute(late.union_all(void).limit(1))).first() is not None


async def expire_requests(connection: AsyncConnection, action_digest: str | None = None) -> list[Row]:
    """Mark some open requests that have run out, or that for one action, and return those."""
    now = rfc3339(await moment(connection))
    table = approval_requests
    late = select(table.c.id).where(table.c.state == "open", table.c.expires_at <= now)
    query = update(table).where(table.c.state == "open", table.c.id.in_(_some(late, table, action_digest)))
    values = {"state": "expired", "version": table.c.version + 1, "decided_at": now}
    return [_plain(row) for row in (await connection.execute(query.values(**values).returning(*table.c))).mappings()]


async def grant(connection: AsyncConnection, request: Row, uses: int, within_s: int) -> Row | None:
    """Make the approval of a granted request: `uses` times, within `within_s` seconds; None when one is active."""
    now = await moment(connection)
    values = {
        "id": request["id"],
        "state": "active",
        "action_digest": request["action_digest"],
        "gates": request["gates"],
        "uses_left": uses,
        "approved_at": rfc3339(now),
        "not_after": rfc3339(now + timedelta(seconds=within_s)),
    }
    query = insert_new(connection, approvals).values(values)
    return await _one(connection, query.returning(*approvals.c))


async def read_approval(connection: AsyncConnection, identifier: str) -> Row | None:
    """Return one approval."""
    return await _one(connection, select(approvals).where(approvals.c.id == identifier))


async def read_active_approval(connection: AsyncConnection, action_digest: str) -> Row | None:
    """Return the approval that may be used for an action now."""
    now = rfc3339(await moment(connection))
    this = approvals.c.action_digest == action_digest, approvals.c.state == "active", approvals.c.not_after > now
    return await _one(connection, select(approvals).where(*this))


async def use_approval(connection: AsyncConnection, identifier: str, action_digest: str) -> Row | None:
    """Use an approval once for exactly this action; None when it is used up, run out, revoked or for another."""
    now = rfc3339(await moment(connection))
    table = approvals
    this = table.c.id == identifier, table.c.action_digest == action_digest, table.c.state == "active"
    usable = table.c.uses_left > 0, table.c.not_after > now
    values = {"uses_left": table.c.uses_left - 1, "state": case((table.c.uses_left == 1, "spent"), else_="active")}
    return await _one(connection, update(table).where(*this, *usable).values(**values).returning(*table.c))


async def revoke_approval(connection: AsyncConnection, identifier: str) -> Row | None:
    """Revoke an approval that is active; None when it is not."""
    this = approvals.c.id == identifier, approvals.c.state == "active"
    return await _one(connection, update(approvals).where(*this).values(state="revoked").returning(*approvals.c))


async def revoke_approvals_of(connection: AsyncConnection, action_digest: str) -> list[Row]:
    """Revoke what is active for an action, and return it."""
    this = approvals.c.action_digest == action_digest, approvals.c.state == "active"
    found = await connection.execute(update(approvals).where(*this).values(state="revoked").returning(*approvals.c))
    return [_plain(row) for row in found.mappings()]


async def expire_approvals(connection: AsyncConnection, action_digest: str | None = None) -> list[Row]:
    """Mark some active approvals that have run out, or that for one action, and return those."""
    now = rfc3339(await moment(connection))
    table = approvals
    late = select(table.c.id).where(table.c.state == "active", table.c.not_after <= now)
    query = update(table).where(table.c.state == "active", table.c.id.in_(_some(late, table, action_digest)))
    found = await connection.execute(query.values(state="expired").returning(*table.c))
    return [_plain(row) for row in found.mappings()]


def _some(late: Select[tuple[str]], table: Table, action_digest: str | None) -> Select[tuple[str]]:
    if action_digest is not None:
        late = late.where(table.c.action_digest == action_digest)
    return late.order_by(table.c.id).limit(MARKED_TOGETHER)


async def _one(connection: AsyncConnection, query: Any) -> Row | None:
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else _plain(row)


def _plain(row: Any) -> Row:
    return {str(name): value for name, value in row.items()}
