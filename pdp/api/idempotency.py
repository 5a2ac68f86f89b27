"""Idempotency-Key: the same key and body within a minute get the same answer, another body gets 409."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import Rejected

KEPT_FOR = 60.0  # seconds (contracts, section 1)
MAX_KEPT = 10_000  # of one adapter: bounds memory, and no adapter pushes out another's; the oldest go first
MAX_KEY = 255

Kept = OrderedDict[str, tuple[bytes, float, asyncio.Future[bytes], object]]


class Conflict(Rejected):
    """The key was used with another body."""

    def __init__(self) -> None:
        super().__init__(409, "idempotency.conflict", "This Idempotency-Key was used with another body.")


class Replays:
    """Answers by adapter and key, for `kept_for` seconds or until `most` newer ones of the same adapter came.

    Kept in this process: a retry must reach the same worker to be recognised.
    """

    def __init__(self, kept_for: float = KEPT_FOR, most: int = MAX_KEPT) -> None:
        self._kept_for = kept_for
        self._most = most
        self._kept: OrderedDict[str, Kept] = OrderedDict()  # who asked last is last

    @property
    def callers(self) -> int:
        """Return of how many callers something is kept."""
        return len(self._kept)

    async def once(
        self,
        pep: str,
        key: str | None,
        body: bytes,
        answer: Callable[[], Coroutine[Any, Any, bytes]],
        epoch: object = None,
    ) -> bytes:
        """Return what `answer` gives, or gave to the same key and body in the same `epoch`.

        A change in between starts a new epoch: what was revoked must not go on being allowed. Raises `Rejected` 400
        or `Conflict`.
        """
        if key is None:
            return await answer()
        if not 0 < len(key) <= MAX_KEY:
            raise Rejected(400, "idempotency.key", f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
        kept = self._of(pep)
        _forget_expired(kept)
        digest = hashlib.sha256(body).digest()
        if key in kept:
            known, _, future, then = kept[key]
            if known != digest:
                raise Conflict
            if then == epoch:
                return await asyncio.shield(future)
        return await self._first(kept, key, digest, answer, epoch)

    def _of(self, pep: str) -> Kept:
        """Return what is kept of a caller; whoever asked for nothing that is still kept is forgotten."""
        kept = self._kept.setdefault(pep, OrderedDict())
        self._kept.move_to_end(pep)
        now = asyncio.get_running_loop().time()
        while (quiet := next(iter(self._kept))) != pep and _all_expired(self._kept[quiet], now):
            del self._kept[quiet]
        return kept

    async def _first(
        self, kept: Kept, key: str, digest: bytes, answer: Callable[[], Coroutine[Any, Any, bytes]], epoch: object
    ) -> bytes:
        loop = asyncio.get_running_loop()
        task = loop.create_task(answer())
        kept[key] = (digest, loop.time() + self._kept_for, task, epoch)
        kept.move_to_end(key)
        if len(kept) > self._most:
            kept.popitem(last=False)
        task.add_done_callback(lambda done: _keep_if_answered(kept, key, done))
        return await asyncio.shield(task)


def _forget_expired(kept: Kept) -> None:
    now = asyncio.get_running_loop().time()
    while kept and next(iter(kept.values()))[1] <= now:
        kept.popitem(last=False)


def _all_expired(kept: Kept, now: float) -> bool:
    return not kept or kept[next(reversed(kept))][1] <= now


def _keep_if_answered(kept: Kept, key: str, done: asyncio.Future[bytes]) -> None:
    if (done.cancelled() or done.exception()) and key in kept and kept[key][2] is done:
        del kept[key]  # only what was decided is repeated
