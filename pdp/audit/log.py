"""Log: append, group commit, and the promise that an acknowledged entry is in the file.

The event loop chains the entries (it alone knows their order); one thread takes all that wait, writes them in one
`write`, makes them durable with one `fdatasync` when one of them asks for it, and tells the waiting calls. While it
writes, the next ones gather. And where many calls are under way, an entry waits a little for those about to follow
(as with PostgreSQL's `commit_delay` and `commit_siblings`): waking the thread costs more than what it does.

After an error the chain in memory may be ahead of the file. So everything that waits is refused, and the next
append first lets the thread read back where the file really ends. Nothing is acknowledged that was not written.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..answer import Receipt
from ..deadlines import Deadlines
from ..errors import Fault, Unrecorded
from ..meter import Times
from ..times import Clock
from .entry import Head, digest_of, entry_line
from .shard import SEGMENT_BYTES, Repair, Shard

MAX_WAITING = 4096  # calls that wait for the disk: more than a second of a saturated service
MAX_WAITING_BYTES = 64 * 1024 * 1024  # what they may hold in memory together
GATHERED = 4  # one part in so many of the calls under way is written together: below 8 nobody waits for anybody
COME_TOGETHER = {"decision"}  # what else is recorded holds up a transaction of the store, and all who wait for theirs
GATHERS_S = 0.004  # an entry waits no longer for others; two decisions take as long on a slow core

logger = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    line: bytes
    after: Head
    durable: bool
    future: asyncio.Future[Receipt]


class _Reopen(NamedTuple):
    pass


class _Settle(NamedTuple):
    future: asyncio.Future[Head]


class _Stop(NamedTuple):
    future: asyncio.Future[None]


_Item = list[_Waiting] | _Reopen | _Settle | _Stop


class Log:
    """The log of one worker, open for appending from the event loop it was made on.

    `inherited` counts the entries found when it was opened, `committed` those known to be in the files now; `grown`
    is set whenever that moved. `healthy` is false from an error until an entry was written again. `refused` counts the
    entries that nobody may be told of; `writes` and `syncs` say how long the disk takes.
    """

    def __init__(
        self,
        directory: Path,
        now: Clock,
        segment_bytes: int = SEGMENT_BYTES,
        underway: Callable[[], int] = lambda: 0,
    ) -> None:
        """Open or create the log in `directory`, mending a torn tail. Raises `Fault`; call it inside the loop.

        `segment_bytes`: a file this large is followed by another. `underway`: how many calls may be about to append.
        """
        self._shard = Shard(directory, segment_bytes)
        self._now = now
        self._underway = underway
        self._gathered: list[_Waiting] = []
        self._rings = False
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._head: Head | None = self._shard.head
        self._recovery: asyncio.Future[bool] | None = None
        self._waiting = self._waiting_bytes = 0
        self._closed = False
        self._deadlines = Deadlines()
        self.directory = directory
        self.origin = self._shard.head.origin
        self.inherited = self.committed = self._shard.head.index
        self.grown = asyncio.Event()
        self.healthy = True
        self.refused = 0
        self.writes, self.syncs = Times(), Times()  # added to by the writing thread alone
        self._thread = threading.Thread(target=self._write_until_stopped, name="pdp-log", daemon=True)
        self._thread.start()
        self._record_repair(self._shard.repair)

    async def append(self, kind: str, body: object, *, durable: bool, deadline: float) -> Receipt:
        """Write one entry and return its receipt: after `write`, or after `fdatasync` when `durable`.

        `deadline` is absolute, in the loop's `time()`. Raises `Unrecorded` when the entry may not be in the log:
        then nobody may be told what it says. (It may still turn up there: recorded but never answered is safe.)
        """
        try:
            with self._deadlines.at(deadline):
                if self._head is None:
                    await self._recover()
                return await self._hand_in(kind, body, durable=durable)
        except Unrecorded:
            self.refused += 1
            raise
        except TimeoutError:
            self.refused += 1
            raise Unrecorded(f"The log {self.directory} did not take an entry in time: is its disk slow?") from None

    @property
    def waiting(self) -> int:
        """Return how many entries wait for the disk."""
        return self._waiting

    async def settled(self) -> Head:
        """Bring what was handed in so far to the disk, and return where the chain stands there. Raises `Unrecorded`."""
        if self._closed:
            raise Unrecorded(f"The log {self.directory} is closed.")
        future: asyncio.Future[Head] = self._loop.create_future()
        self._order(_Settle(future))
        return await future

    async def close(self) -> None:
        """Write what waits, bring it to the disk and let go of the directory. Later appends raise `Unrecorded`."""
        if self._closed:
            return
        self._closed = True
        stopped = self._loop.create_future()
        self._order(_Stop(stopped))
        await stopped
        self._thread.join()

    # On the event loop.

    def _hand_in(self, kind: str, body: object, *, durable: bool) -> asyncio.Future[Receipt]:
        head = self._head
        if self._closed or head is None:
            raise Unrecorded(f"The log {self.directory} is closed, or failed again after it was reopened.")
        line = entry_line(head, kind, body, self._now())
        if self._waiting >= MAX_WAITING or self._waiting_bytes + len(line) > MAX_WAITING_BYTES:
            raise Unrecorded(f"Too many entries wait for the log {self.directory}: its disk is too slow for the load.")
        self._waiting += 1
        self._waiting_bytes += len(line)
        self._head = Head(head.origin, head.index + 1, digest_of(line))
        waiting = _Waiting(line + b"\n", self._head, durable, self._loop.create_future())
        self._gather(waiting, self._underway() // GATHERED if kind in COME_TOGETHER else 0)
        return waiting.future

    def _gather(self, waiting: _Waiting, wanted: int) -> None:
        self._gathered.append(waiting)
        if len(self._gathered) >= wanted:
            self._hand_over()
        elif not self._rings:
            self._rings = True
            self._loop.call_later(GATHERS_S, self._ring)

    def _ring(self) -> None:
        self._rings = False
        self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _order(self, item: _Reopen | _Settle | _Stop) -> None:
        self._hand_over()
        self._queue.put(item)

    async def _recover(self) -> None:
        if self._recovery is None:
            self._recovery = self._loop.create_future()
            self._order(_Reopen())
        if self._closed or not await asyncio.shield(self._recovery):
            raise Unrecorded(f"The log {self.directory} cannot be written: see the service's own log.")

    def _answered(self, entries: list[_Waiting]) -> None:
        self._forget(entries)
        for entry in entries:
            if not entry.future.done():  # a caller whose deadline passed is gone
                after = entry.after
                entry.future.set_result(Receipt(after.origin, after.index - 1, after.digest))
        self._grow(entries[-1].after.index)
        if not self.healthy:
            self.healthy = True
            logger.warning("the log %s is written again", self.directory)

    def _failed(self, entries: list[_Waiting], error: OSError) -> None:
        self._head = None
        self._forget(entries)
        for entry in entries:
            if not entry.future.done():
                entry.future.set_exception(Unrecorded(f"The log {self.directory} was not written: {error}"))
        self._sicken(error)

    def _reopened(self, head: Head, repair: Repair | None) -> None:
        self._head = head
        self._grow(head.index)
        self._finish_recovery(recovered=True)  # first: a log that was closed meanwhile takes no entry any more
        self._record_repair(repair)

    def _still_broken(self, error: OSError | Fault) -> None:
        self._sicken(error)
        self._finish_recovery(recovered=False)

    def _finish_recovery(self, *, recovered: bool) -> None:
        if self._recovery is not None:
            self._recovery.set_result(recovered)
            self._recovery = None

    def _record_repair(self, repair: Repair | None) -> None:
        if repair is not None:
            logger.warning("the log %s was mended: %s", self.directory, repair)
            written = self._hand_in("log.recovered", repair, durable=True)
            written.add_done_callback(lambda future: future.exception())  # nobody waits for it

    def _sicken(self, error: OSError | Fault) -> None:
        if self.healthy:
            self.healthy = False
            logger.error("the log %s failed, calls are denied until it works: %s", self.directory, error)

    def _forget(self, entries: list[_Waiting]) -> None:
        self._waiting -= len(entries)
        self._waiting_bytes -= sum(len(entry.line) for entry in entries)

    def _grow(self, committed: int) -> None:
        self.committed = max(self.committed, committed)
        self.grown.set()

    # On the writing thread.

    def _write_until_stopped(self) -> None:
        while True:
            batch = _take_all(self._queue)
            entries = [entry for item in batch if isinstance(item, list) for entry in item]
            if entries:
                self._commit(entries)
            for item in batch:  # nothing is handed in between a failure and the answer to `_Reopen`
                if isinstance(item, _Reopen):
                    self._reopen()
                if isinstance(item, _Settle):
                    self._settle(item)
                if isinstance(item, _Stop):
                    self._stop(item)
                    return

    def _commit(self, entries: list[_Waiting]) -> None:
        unanswered = entries
        try:
            began = time.perf_counter()
            self._shard.append(b"".join(entry.line for entry in entries), entries[-1].after)
            self.writes.add(time.perf_counter() - began)
            unanswered = [entry for entry in entries if entry.durable]
            if len(unanswered) < len(entries):
                self._tell(self._answered, [entry for entry in entries if not entry.durable])
            if unanswered:
                self._sync()
                self._tell(self._answered, unanswered)
        except OSError as error:
            self._shard.abandon()
            self._tell(self._failed, unanswered, error)

    def _reopen(self) -> None:
        try:
            self._shard.reopen()
        except (OSError, Fault) as error:
            self._shard.abandon()
            self._tell(self._still_broken, error)
        else:
            self._tell(self._reopened, self._shard.head, self._shard.repair)

    def _settle(self, item: _Settle) -> None:
        try:
            self._sync()
        except OSError as error:
            failed = Unrecorded(f"The log {self.directory} cannot be brought to the disk: {error}")
            self._tell(_end, item.future, failed)
        else:
            self._tell(_end, item.future, self._shard.head)

    def _sync(self) -> None:
        began = time.perf_counter()
        self._shard.sync()
        self.syncs.add(time.perf_counter() - began)

    def _stop(self, item: _Stop) -> None:
        try:
            self._shard.close()
        except OSError:
            logger.exception("the log %s could not be brought to the disk", self.directory)
        self._tell(item.future.set_result, None)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop was closed: nobody is left to be told
            logger.warning("the log %s outlived its event loop: close it before", self.directory)


def _end(future: asyncio.Future[Head], ended: Head | Unrecorded) -> None:
    if future.done():  # whoever asked is gone
        return
    if isinstance(ended, Unrecorded):
        future.set_exception(ended)
    else:
        future.set_result(ended)


def _take_all(source: queue.SimpleQueue[_Item]) -> list[_Item]:
    batch = [source.get()]
    with contextlib.suppress(queue.Empty):
        while True:
            batch.append(source.get_nowait())
    return batch
