"""Adapter keys: rows in, rows out. Only the digest of a secret is kept."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .changes import append
from .tables import pep_keys

Row = dict[str, Any]


async def add_key(connection: AsyncConnection, row: Row, now: datetime) -> None:
    """Insert one key; `row` has the columns of `pep_keys` but `created_at` and `revoked_at`."""
    await connection.execute(insert(pep_keys).values(**row, created_at=rfc3339(now)))
    await append(connection, "keys", [("key", row["id"])], now)


async def revoke_key(connection: AsyncConnection, identifier: str, now: datetime) -> bool:
    """Mark a key revoked; returns whether there was one that could be."""
    live = (pep_keys.c.id == identifier) & pep_keys.c.revoked_at.is_(None)
    done = await connection.execute(update(pep_keys).where(live).values(revoked_at=rfc3339(now)))
    await append(connection, "keys", [("key", identifier)], now)
    return done.rowcount == 1


async def all_keys(connection: AsyncConnection) -> list[Row]:
    """Return every key, revoked ones too, oldest first."""
    rows = await connection.execute(select(pep_keys).order_by(pep_keys.c.id))
    return [{str(name): value for name, value in row.items()} for row in rows.mappings()]  # not SQLAlchemy's own str
