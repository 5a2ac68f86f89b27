"""The condition of the store, looked at without changing it: schema, clock, and what there is to decide with."""

from datetime import UTC, datetime
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from msgspec import Struct
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..identity.peps import INTERNAL
from ..times import system_clock
from .heads import read_heads
from .keys import all_keys
from .sql import MIGRATIONS, as_it_is, reading
from .tables import change_log, principals, tools

Row = dict[str, Any]


class Content(Struct, frozen=True):
    """What is in a store of this release. `changed_at`: when facts about people and agents last changed (RFC 3339)."""

    people: int
    agents: int
    approved_tools: int
    changed_at: str | None
    keys: list[Row]
    heads: list[Row]


class Condition(Struct, frozen=True):
    """A store. `schema` is what it has (None: empty), `ours` what this release writes; `content` when they agree.

    `ahead_s`: by how many seconds its clock is ahead of ours; None where it has no clock of its own.
    """

    schema: str | None
    ours: str
    known: bool
    ahead_s: float | None
    content: Content | None


async def condition_of(url: str) -> Condition:
    """Look at the store. Raises `StoreUnavailable`, also when there is none yet."""
    store = as_it_is(url)
    try:
        async with reading(store) as connection:
            schema = await connection.run_sync(_schema)
            script = ScriptDirectory(str(MIGRATIONS))
            ours = script.get_current_head() or ""
            return Condition(
                schema,
                ours,
                schema in {revision.revision for revision in script.walk_revisions()},
                await _ahead(connection),
                await _content(connection) if schema == ours else None,
            )
    finally:
        await store.dispose()


def _schema(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def _ahead(connection: AsyncConnection) -> float | None:
    if connection.dialect.name != "postgresql":
        return None
    before = system_clock()
    there: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    after = system_clock()
    return (there.astimezone(UTC) - (before + (after - before) / 2)).total_seconds()


async def _content(connection: AsyncConnection) -> Content:
    async def count(*where: Any) -> int:
        return int((await connection.execute(select(func.count()).where(*where))).scalar_one())

    others = principals.c.source.not_in(INTERNAL)  # than the probe of readiness
    newest = select(func.max(change_log.c.at)).where(change_log.c.topic == "identity")
    return Content(
        people=await count(principals.c.kind == "person", principals.c.status == "active", others),
        agents=await count(principals.c.kind == "agent", principals.c.status == "active", others),
        approved_tools=await count(tools.c.status == "approved", tools.c.server.not_in(INTERNAL)),
        changed_at=(await connection.execute(newest)).scalar_one(),
        keys=await all_keys(connection),
        heads=await read_heads(connection),
    )
