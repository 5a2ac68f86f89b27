"""The database's own time: the one clock that every replica of the PDP shares, so that two of them never disagree."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import Clock, parse_rfc3339
from .sql import Store

POSTGRESQL = """SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
SQLITE = "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"


def on_clock(store: Store, clock: Clock) -> Store:
    """Return the same store with `clock` in place of the database's own time."""
    return store.execution_options(moment=clock)


async def moment(connection: AsyncConnection) -> datetime:
    """Return the time now, in whole seconds, as the database tells it: what expires is compared with this."""
    clock: Clock | None = await connection.run_sync(lambda same: same.get_execution_options().get("moment"))
    if clock is not None:
        return clock()
    query = POSTGRESQL if connection.dialect.name == "postgresql" else SQLITE
    return parse_rfc3339((await connection.execute(text(query))).scalar_one())
