"""Tells those who wait that a request may have moved: at once in this process, within a second from another."""

import asyncio

LOOK_EVERY_S = 1.0  # other replicas say nothing; a look is one row by its key


class Bulletin:
    """One event for all: requests are few, and whoever wakes looks at their own."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.hushed = False  # once True, nobody is to be kept waiting any more

    def hush(self) -> None:
        """Let nobody wait any more: the service is about to stop."""
        self.hushed = True
        self.tell()

    def tell(self) -> None:
        """Wake everybody who waits."""
        self._news.set()
        self._news = asyncio.Event()

    async def wait(self, within_s: float) -> None:
        """Return at the next news, and after a second at the latest."""
        try:
            async with asyncio.timeout(min(within_s, LOOK_EVERY_S)):
                await self._news.wait()
        except TimeoutError:
            return
