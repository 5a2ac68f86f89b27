"""Recurring: what runs in the background again and again, and goes on whatever happens to it.

A background task that an unforeseen error ended would be missed by nobody until its work is: keys that are no longer
renewed, facts that are never young again. So each round is a task of its own; how it ended is logged, and on it goes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from .errors import PdpError

logger = logging.getLogger(__name__)


class Recurring:
    """Runs `step` with a pause after each round, from `start` to `close`; `what` names it in the service's log.

    A round that takes longer than `within_s` seconds is given up. The same trouble is logged once, and its end too.
    """

    def __init__(
        self, what: str, step: Callable[[], Awaitable[None]], pause_s: float, within_s: float | None = None
    ) -> None:
        self._what = what
        self._step = step
        self._pause_s = pause_s
        self._within_s = within_s
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    def start(self, *, at_once: bool = True) -> None:
        """Begin, with a round or with a pause."""
        self._task = asyncio.create_task(self._run(at_once=at_once), name=self._what)

    async def close(self) -> None:
        """Stop, and leave nothing running."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self, *, at_once: bool) -> None:
        if not at_once:
            await asyncio.sleep(self._pause_s)
        while True:
            round_ = asyncio.create_task(self._bounded())
            try:
                await asyncio.wait({round_})
            finally:
                if round_.cancel():
                    await asyncio.wait({round_})
            self._note(round_)
            await asyncio.sleep(self._pause_s)

    async def _bounded(self) -> None:
        async with asyncio.timeout(self._within_s):
            await self._step()

    def _note(self, ended: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if ended.cancelled() else ended.exception()
        trouble = f"{type(error).__name__}: {error}" if error else ""
        if trouble and trouble != self._trouble:
            foreseen = isinstance(error, PdpError | TimeoutError)
            logger.error("%s: %s; it is tried again", self._what, trouble, exc_info=None if foreseen else error)
        if self._trouble and not trouble:
            logger.warning("%s: goes on", self._what)
        self._trouble = trouble
