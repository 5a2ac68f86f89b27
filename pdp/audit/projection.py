"""Projection: follows the log of this worker and keeps its decisions and outcomes where every worker can find them.

It reads the files behind the writer, from where the store says it stopped. So there is nothing to lose: a restart, a
store that is away or a burst only make it later. Nothing on the decision path waits for it.

A transaction costs 2.5 ms of CPU besides its lines: 110 us a line when it takes 25 of them, 26 us when it takes 500. So
lines are left to gather for 0.3 s, unless somebody waits for one of them.
"""

import asyncio
import logging
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from ..errors import NOT_JSON
from ..recurring import Recurring
from ..store.decisions import forget_from, project, projected
from ..store.sql import Store, transaction
from .log import Log
from .read import Reader

BATCH = 500  # lines a transaction; about a megabyte
PAUSE_S = 0.1  # between transactions
GATHER_S = 0.2  # and this much after one that was not full, so that under load each one takes many

logger = logging.getLogger(__name__)


class Rows(NamedTuple):
    """What a batch of lines means for the store; `behind` is the index behind its last line.

    `full`: there may be more lines already.
    """

    decided: list[dict[str, Any]]
    ended: list[dict[str, Any]]
    behind: int
    full: bool


class Projection:
    """Runs between `start` and `close`. `position` is the index behind the last projected entry."""

    def __init__(self, log: Log, store: Store) -> None:
        self._log = log
        self._store = store
        self._reader: Reader | None = None
        self._recurring = Recurring("the lookup of decisions", self._step, PAUSE_S)
        self._moved = asyncio.Condition()
        self._wanted = asyncio.Event()
        self.position = 0

    async def start(self) -> None:
        """Find where the last run stopped and follow from there. Raises `StoreUnavailable`."""
        async with transaction(self._store) as connection:
            await forget_from(connection, self._log.origin, self._log.inherited)
            self.position = await projected(connection, self._log.origin)
        self._recurring.start()

    async def close(self) -> None:
        """Stop following; what is left is projected after the next start."""
        await self._recurring.close()

    async def reached(self, index: int) -> None:
        """Return when the entry with this index is projected. Wait with a timeout: the store may be away."""
        self._wanted.set()
        async with self._moved:
            await self._moved.wait_for(lambda: self.position > index)

    async def _step(self) -> None:
        """Take in a batch, or wait until there is one."""
        self._log.grown.clear()
        self._wanted.clear()
        reader, self._reader = self._reader, None
        if reader is None:  # it looks for its place in up to a whole segment
            reader = await asyncio.to_thread(Reader, self._log.directory, self.position)
        rows = await asyncio.to_thread(read_rows, reader)
        if rows is None:
            await self._log.grown.wait()
        else:
            await self._store_rows(rows)
            await self._advance(rows.behind)
        self._reader = reader  # after trouble, such as a removed segment, reading begins anew from `position`
        if rows is not None and not rows.full:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), GATHER_S)

    async def _advance(self, position: int) -> None:
        async with self._moved:
            self.position = max(self.position, position)
            self._moved.notify_all()

    async def _store_rows(self, rows: Rows) -> None:
        if not rows.decided and not rows.ended:
            return
        async with transaction(self._store) as connection:
            await project(connection, rows.decided, rows.ended)


def read_rows(reader: Reader) -> Rows | None:
    """Take the next batch of lines; `None` when there is none. Raises `OSError`."""
    lines = list(islice(reader.lines(), BATCH))
    if not lines:
        return None
    seen = [(head, line.decode(errors="replace")) for line in lines if (head := _head(line)) is not None]
    return Rows(
        decided=[_row(head, line) | {"id": head.body.id} for head, line in seen if head.kind == "decision"],
        ended=[_row(head, line) | {"decision": head.body.decision} for head, line in seen if head.kind == "outcome"],
        behind=seen[-1][0].index + 1 if seen else 0,
        full=len(lines) == BATCH,
    )


class _About(Struct):
    id: str = ""
    pep: str = ""
    decision: str = ""


class _Line(Struct):
    index: int
    origin: str
    kind: str
    at: str
    body: _About


_READER = msgspec.json.Decoder(_Line)


def _head(line: bytes) -> _Line | None:
    try:
        return _READER.decode(line)
    except NOT_JSON:
        logger.warning("the log holds a line that is no record: run `pdp log verify`")
        return None


def _row(head: _Line, line: str) -> dict[str, Any]:
    return {
        "origin": head.origin,
        "position": head.index,
        "pep": head.body.pep,
        "at": head.at,
        "entry": line,
    }
