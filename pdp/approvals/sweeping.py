"""Sweeping: what ran out is marked so, by one sweep at a time, however many look at requests."""

import asyncio

from ..audit.office import Office
from ..deadlines import CLOSES_WITHIN_S
from . import requests


class Sweeping:
    """Sweeps when somebody looks at requests. A sweep goes on when nobody waits for its end any more.

    One that was cut off would be taken back in the store but stand in the log, and be made, and recorded, anew.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._sweep: asyncio.Task[None] | None = None

    async def done(self) -> None:
        """Wait for a sweep, and raise what ended it: `StoreUnavailable` or `Unrecorded`."""
        await asyncio.shield(self._under_way())

    async def soon_done(self, within_s: float) -> None:
        """Wait for a sweep for so many seconds, and whether it succeeds or not: nothing depends on it."""
        await asyncio.wait({self._under_way()}, timeout=within_s)

    async def close(self) -> None:
        """End the sweep that is under way."""
        if self._sweep is not None and self._sweep.cancel():
            await asyncio.wait({self._sweep}, timeout=CLOSES_WITHIN_S)

    def _under_way(self) -> asyncio.Task[None]:
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(requests.sweep(self._office))
            self._sweep.add_done_callback(_noticed)
        return self._sweep


def _noticed(sweep: asyncio.Task[None]) -> None:
    if not sweep.cancelled():
        sweep.exception()  # nobody may have waited until the end
