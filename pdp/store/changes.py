"""The change log: what changed, in commit order, so that caches can ask "what is new since?".

Sequence numbers are handed out before a transaction commits. Without a lock, 7 may commit after 8, and a reader who
has seen 8 never looks for 7. So whoever appends holds one lock until its transaction ends. On SQLite that lock is
the write lock itself; on PostgreSQL it is an advisory lock.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ..times import rfc3339
from .tables import change_log

Topic = Literal["identity", "registry", "keys"]
TOPICS: tuple[Topic, ...] = get_args(Topic)
APPENDING = 0x7064705F6368  # "pdp_ch": the number of our advisory lock
EVERYTHING = ("all", "*")  # written instead of a long list: readers forget all they have cached
MANY = 1000  # forgetting everything is cheaper than reading more than this


class Change(NamedTuple):
    """One entry: `kind` and `key` name what changed, such as `principal`, `alice`."""

    seq: int
    kind: str
    key: str


async def lock(connection: AsyncConnection) -> None:
    """Hold the log until the transaction ends; take it first when what is written depends on what is read."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": APPENDING})


async def append(connection: AsyncConnection, topic: Topic, touched: Iterable[tuple[str, str]], now: datetime) -> None:
    """Say in the same transaction which `(kind, key)` were written, so that every replica forgets them."""
    entries = sorted(set(touched))
    if len(entries) > MANY:
        entries = [EVERYTHING]
    if not entries:
        return
    await lock(connection)
    at = rfc3339(now)
    rows = [{"topic": topic, "kind": kind, "key": key, "at": at} for kind, key in entries]
    await connection.execute(insert(change_log), rows)


async def latest(connection: AsyncConnection, topic: Topic) -> int:
    """Return the revision of a topic: the sequence number of its last change, 0 before the first."""
    found = await connection.execute(select(func.max(change_log.c.seq)).where(change_log.c.topic == topic))
    return found.scalar_one() or 0


async def newest_changes(connection: AsyncConnection) -> dict[Topic, int]:
    """Return the revision of every topic, as `latest` does, with one question."""
    newest = [
        select(func.max(change_log.c.seq)).where(change_log.c.topic == topic).scalar_subquery() for topic in TOPICS
    ]
    found = (await connection.execute(select(*newest))).one()
    return {topic: seq or 0 for topic, seq in zip(TOPICS, found, strict=True)}


async def since(connection: AsyncConnection, topic: Topic, seq: int, limit: int = MANY) -> list[Change]:
    """Return the changes after `seq`, oldest first, at most `limit`."""
    query = select(change_log.c.seq, change_log.c.kind, change_log.c.key)
    query = query.where(change_log.c.topic == topic, change_log.c.seq > seq).order_by(change_log.c.seq).limit(limit)
    return [Change(*row) for row in await connection.execute(query)]
