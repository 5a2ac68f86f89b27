"""How far each log had come, as signed by whoever wrote it. A head only ever moves on."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .insert import insert_new
from .tables import log_heads

Row = dict[str, Any]


async def read_heads(connection: AsyncConnection) -> list[Row]:
    """Return every head, by origin."""
    rows = await connection.execute(select(log_heads).order_by(log_heads.c.origin))
    return [{str(name): value for name, value in row.items()} for row in rows.mappings()]


async def move_head(connection: AsyncConnection, row: Row) -> None:
    """Keep a head (every column) unless the one that is kept is as far or further."""
    await connection.execute(insert_new(connection, log_heads).values(**row))
    this = log_heads.c.origin == row["origin"], log_heads.c.entries < row["entries"]
    await connection.execute(update(log_heads).where(*this).values(**row))
