"""Revocations: what an operator stopped, apart from what feeds say, so that no import can bring it back.

A row outlives what it is about: someone whom a feed removes and brings again is still revoked (decisions, 0014).
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .changes import append, lock
from .sql import Store, reading
from .tables import aliases, delegations, principals, revocations

Kind = Literal["person", "agent", "client", "session", "delegation"]
Row = dict[str, Any]
Name = tuple[Kind, str, str]
"""Kind, issuer (empty unless a client or session), id."""


async def add_revocation(connection: AsyncConnection, name: Name, by: str, reason: str, now: datetime) -> bool:
    """Revoke something; returns False when it was revoked already."""
    await lock(connection)  # two operators at once: one of them is told that it was done
    kind, issuer, identifier = name
    if (await connection.execute(select(revocations.c.at).where(_is(name)))).first():
        return False
    row = {"kind": kind, "issuer": issuer, "id": identifier, "at": rfc3339(now), "by": by, "reason": reason}
    await connection.execute(insert(revocations).values(row))
    await append(connection, "identity", [await _touched(connection, name)], now)
    return True


async def remove_revocation(connection: AsyncConnection, name: Name, now: datetime) -> bool:
    """Take a revocation back; returns whether there was one."""
    await lock(connection)
    done = await connection.execute(delete(revocations).where(_is(name)))
    if done.rowcount:
        await append(connection, "identity", [await _touched(connection, name)], now)
    return bool(done.rowcount)


async def client_revoked(store: Store, issuer: str, client: str) -> bool:
    """Say whether an OAuth client of an issuer is revoked. Raises `StoreUnavailable`."""
    async with reading(store) as connection:
        return bool((await connection.execute(select(exists().where(_is(("client", issuer, client)))))).scalar_one())


async def registered(connection: AsyncConnection, kind: Kind, identifier: str) -> bool:
    """Say whether a person, an agent or a delegation of that id is in the store."""
    this = principals.c.id == identifier, principals.c.kind == kind
    if kind == "delegation":
        this = (delegations.c.id == identifier,)  # type: ignore[assignment]  # one condition instead of two
    return bool((await connection.execute(select(exists().where(*this)))).scalar_one())


async def names_of_principal(connection: AsyncConnection, identifier: str) -> list[tuple[str, str]]:
    """Return every (issuer, subject) under which a person or an agent is known."""
    query = select(aliases.c.issuer, aliases.c.subject).where(aliases.c.principal == identifier)
    return [(row.issuer, row.subject) for row in await connection.execute(query.order_by(*query.selected_columns))]


async def revoked_because(connection: AsyncConnection, reason: str) -> list[tuple[str, str]]:
    """Return the (issuer, id) of the clients that were revoked for exactly this reason."""
    these = revocations.c.kind == "client", revocations.c.reason == reason
    return [(row.issuer, row.id) for row in await connection.execute(select(revocations).where(*these))]


async def delegations_to(connection: AsyncConnection, agent: str) -> list[str]:
    """Return the ids of everything delegated to an agent."""
    query = select(delegations.c.id).where(delegations.c.agent == agent).order_by(delegations.c.id)
    return list((await connection.execute(query)).scalars())


def _is(name: Name) -> ColumnElement[bool]:
    kind, issuer, identifier = name
    return (revocations.c.kind == kind) & (revocations.c.issuer == issuer) & (revocations.c.id == identifier)


async def _touched(connection: AsyncConnection, name: Name) -> tuple[str, str]:
    kind, issuer, identifier = name
    if kind == "delegation":
        query = select(delegations.c.person).where(delegations.c.id == identifier)
        return "principal", (await connection.execute(query)).scalar_one_or_none() or ""
    return (kind, f"{issuer} {identifier}") if kind in {"client", "session"} else ("principal", identifier)
