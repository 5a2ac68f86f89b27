"""Deadlines for many calls with one timer.

`asyncio.timeout_at` makes and cancels a timer a call. On uvloop each cancelled timer costs the loop a turn of its own:
20 us of 60 for a call to OPA. Here one timer waits for the earliest deadline and is left to run when its call is done.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, TypeVar

MOST_LET_GO = 1_000  # calls given up that have not ended: each waits for a connection, a lock or an answer of a store
CLOSES_WITHIN_S = 11.0  # SQLite lets go after 10 (`store.sql.BUSY_TIMEOUT_MS`); PostgreSQL, gone silent, never may

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Deadlines:
    """Cancels what runs in `with deadlines.at(when):` once the loop's time is `when`, and raises `TimeoutError`."""

    def __init__(self) -> None:
        self._limits: set[Limit] = set()
        self._let_go: set[asyncio.Task[Any]] = set()
        self._next = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def at(self, when: float) -> "Limit":
        """Return the context manager for one call of the current task."""
        return Limit(self, when)

    async def keep(self, when: float, step: Awaitable[T]) -> T:
        """Return what `step` gives by the loop's time `when`; else cancel it and raise `TimeoutError` at once.

        For what asks a database: its driver clears up before it lets a cancelled call go, and that can take as long as
        what the call waited for (10 s for SQLite's lock). Here nobody waits for that; it ends by itself. While too many
        have not, nothing new is begun.
        """
        task = asyncio.ensure_future(step)
        try:
            if len(self._let_go) >= MOST_LET_GO:
                raise TimeoutError
            await asyncio.wait({task}, timeout=when - asyncio.get_running_loop().time())
            if not task.done():
                raise TimeoutError
            return task.result()
        finally:
            if task.cancel():
                self._let_go.add(task)
                task.add_done_callback(self._ended)

    async def close(self, within_s: float = CLOSES_WITHIN_S) -> None:
        """Wait for what was let go: it should have ended before what it works with is closed.

        What has not after `within_s` seconds is left to the end of the loop: nothing may hold up a stop for ever.
        """
        if not self._let_go:
            return
        _, hanging = await asyncio.wait(set(self._let_go), timeout=within_s)
        if hanging:
            logger.warning("%d calls given up for their deadlines still hang; they are left behind", len(hanging))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._let_go.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more

    def add(self, limit: "Limit") -> None:
        """Watch a limit."""
        self._limits.add(limit)
        if limit.when < self._next:
            self._arm(limit.when)

    def remove(self, limit: "Limit") -> None:
        """Stop watching a limit; the timer is left alone, which is what makes this cheap."""
        self._limits.discard(limit)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._next, self._timer = math.inf, None
        time = asyncio.get_running_loop().time()
        for limit in [limit for limit in self._limits if limit.when <= time]:
            self._limits.discard(limit)
            limit.expire()
        if self._limits:
            self._arm(min(limit.when for limit in self._limits))


class Limit:
    """One call with its deadline; as careful with other cancellations of the task as `asyncio.timeout` is."""

    __slots__ = ("_before", "_deadlines", "_expired", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self.when = when
        self._deadlines = deadlines
        self._expired = False
        self._before = 0
        self._task: asyncio.Task[object]

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline belongs to a task")
        self._task, self._before = task, task.cancelling()
        self._deadlines.add(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._deadlines.remove(self)
        if self._expired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Cancel the call."""
        self._expired = True
        self._task.cancel()
