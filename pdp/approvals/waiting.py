"""How much waits for people and receivers, looked at now and then, so that no scrape of the metrics asks the store."""

from ..recurring import Recurring
from ..store.backlog import Backlog, read_backlog
from ..store.sql import Store, reading

LOOK_EVERY_S = 10.0  # a scrape comes every 15 to 60 s


class Waiting:
    """Looks from `start` to `close`. `backlog` is what the last look found."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recurring = Recurring("counting what waits for people and receivers", self.look, LOOK_EVERY_S)
        self.backlog = Backlog()

    def start(self) -> None:
        """Begin."""
        self._recurring.start()

    async def close(self) -> None:
        """Stop."""
        await self._recurring.close()

    async def look(self) -> None:
        """Count. Raises `StoreUnavailable`."""
        async with reading(self._store) as connection:
            self.backlog = await read_backlog(connection)
