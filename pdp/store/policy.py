"""The newest signed policy that was ever in force, which every replica shares and no restart forgets."""

from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .changes import lock
from .tables import newest_policy

Row = dict[str, Any]


async def read_newest(connection: AsyncConnection) -> Row | None:
    """Return the columns of the newest policy; None when none was ever in force. It stays so in this transaction."""
    await lock(connection)
    row = (await connection.execute(select(newest_policy))).mappings().one_or_none()
    return {str(name): value for name, value in row.items()} if row else None


async def write_newest(connection: AsyncConnection, row: Row) -> None:
    """Put another in its place; `row` has every column."""
    await connection.execute(delete(newest_policy))
    await connection.execute(insert(newest_policy).values(**row))
