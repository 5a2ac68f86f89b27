"""How much waits for people and receivers, looked at now and then, so that no scrape of the metrics asks the store."""

import asyncio

from ..deadlines import Deadlines
from ..recurring import Recurring
from ..store.backlog import Backlog, read_backlog
from ..store.sql import Store, reading

LOOK_EVERY_S = 10.0  # a scrape comes every 15 to 60 s
LOOKS_WITHIN_S = 5.0  # counting takes milliseconds; a store that takes longer answers nobody


class Waiting:
    """Looks from `start` to `close`, each time for `within_s` seconds at most.

    `backlog` is what the last look found, None when it failed: old numbers would look like true ones.
    """

    def __init__(self, store: Store, deadlines: Deadlines, within_s: float = LOOKS_WITHIN_S) -> None:
        self._store = store
        self._deadlines = deadlines
        self._within_s = within_s
        self._recurring = Recurring("counting what waits for people and receivers", self.look, LOOK_EVERY_S)
        self._counting: asyncio.Task[Backlog] | None = None
        self.backlog: Backlog | None = None

    def start(self) -> None:
        """Begin."""
        self._recurring.start()

    async def close(self) -> None:
        """Stop."""
        await self._recurring.close()

    async def look(self) -> None:
        """Count. Raises `StoreUnavailable`, and `TimeoutError`, in time however long the store's driver hangs on.

        Not while the last count still hangs: each would hold one more of the connections that others need.
        """
        found: Backlog | None = None
        try:
            if self._counting is not None and not self._counting.done():
                raise TimeoutError
            self._counting = asyncio.create_task(self._count())
            when = asyncio.get_running_loop().time() + self._within_s
            found = await self._deadlines.keep(when, self._counting)
        finally:
            self.backlog = found

    async def _count(self) -> Backlog:
        async with reading(self._store) as connection:
            return await read_backlog(connection)
