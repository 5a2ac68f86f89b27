"""Idempotency-Key: the same key and body within a minute get the same answer, another body gets 409."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import Rejected

KEPT_FOR = 60.0  # seconds (contracts, section 1)
MAX_KEPT = 10_000  # bounds memory; the oldest go first
MAX_KEY = 255


class Conflict(Rejected):
    """The key was used with another body."""

    def __init__(self) -> None:
        super().__init__(409, "idempotency.conflict", "This Idempotency-Key was used with another body.")


class Replays:
    """Answers by (adapter, key). Kept in this process: a retry must reach the same worker to be recognised."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[bytes, float, asyncio.Future[bytes]]] = OrderedDict()

    async def once(
        self, pep: str, key: str | None, body: bytes, answer: Callable[[], Coroutine[Any, Any, bytes]]
    ) -> bytes:
        """Return what `answer` gives, or gave to the same key and body. Raises `Rejected` 400 or `Conflict`."""
        if key is None:
            return await answer()
        if not 0 < len(key) <= MAX_KEY:
            raise Rejected(400, "idempotency.key", f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
        kept = self._find(pep, key, hashlib.sha256(body).digest())
        return await (asyncio.shield(kept) if kept else self._first(pep, key, body, answer))

    def _find(self, pep: str, key: str, body: bytes) -> asyncio.Future[bytes] | None:
        self._forget()
        if (pep, key) not in self._kept:
            return None
        known, _, future = self._kept[pep, key]
        if known != body:
            raise Conflict
        return future

    async def _first(self, pep: str, key: str, body: bytes, answer: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        loop = asyncio.get_running_loop()
        task = loop.create_task(answer())
        self._kept[pep, key] = (hashlib.sha256(body).digest(), loop.time() + KEPT_FOR, task)
        task.add_done_callback(lambda done: self._keep_if_answered((pep, key), done))
        return await asyncio.shield(task)

    def _keep_if_answered(self, name: tuple[str, str], done: asyncio.Future[bytes]) -> None:
        if done.cancelled() or done.exception():
            self._kept.pop(name, None)  # only what was decided is repeated

    def _forget(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._kept:
            first = next(iter(self._kept))
            if len(self._kept) <= MAX_KEPT and self._kept[first][1] > now:
                return
            del self._kept[first]
