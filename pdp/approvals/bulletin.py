"""Tells those who wait that a request may have moved: at once in this process, within a second from another."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import Rejected

MOST_WAIT = 512  # held requests of one process: each looks at the store every second
MOST_OF_ONE = 128  # of one adapter or person: nobody takes every place
FULL = Rejected(429, "approvals.waiting", "Too many requests wait here already.", headers={"Retry-After": "1"})
LOOK_EVERY_S = 1.0  # other replicas say nothing; a look is one row by its key


class Bulletin:
    """One event for all: requests are few, and whoever wakes looks at their own."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._waiting: Counter[str] = Counter()
        self.hushed = False  # once True, nobody is to be kept waiting any more

    def hush(self) -> None:
        """Let nobody wait any more: the service is about to stop."""
        self.hushed = True
        self.tell()

    def tell(self) -> None:
        """Wake everybody who waits."""
        self._news.set()
        self._news = asyncio.Event()

    @contextmanager
    def place(self, who: str) -> Iterator[None]:
        """Keep a place for somebody who waits. Raises `Rejected` 429 when there is none left, or none for them."""
        if self._waiting[who] >= MOST_OF_ONE or self._waiting.total() >= MOST_WAIT:
            raise FULL
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    async def wait(self, within_s: float) -> None:
        """Return at the next news, and after a second at the latest."""
        try:
            async with asyncio.timeout(min(within_s, LOOK_EVERY_S)):
                await self._news.wait()
        except TimeoutError:
            return
