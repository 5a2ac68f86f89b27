"""Together: those who ask the store for one thing each, while it is being asked, are answered by the next question."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, TypeVar

from ..deadlines import Deadlines

ASKED_WITHIN_S = 2.0  # asking takes milliseconds; a store that hangs is asked again, on another connection
MOST_HANGING = 4  # questions given up that have not ended: each holds a connection, of the 18 that others need too
K = TypeVar("K")
V = TypeVar("V")


class Batch(Generic[K, V]):
    """What is asked for together, and the question once it is under way."""

    def __init__(self) -> None:
        self.wanted: set[K] = set()
        self.question: asyncio.Task[Mapping[K, V]] | None = None


class Together(Generic[K, V]):
    """Asks for keys, with one question at a time for all that came meanwhile; `ask` returns what there is of them.

    A question costs 0.5 ms whether it is for one or for ten. Nobody is answered by one that began before he asked.
    One that takes longer than `within_s` seconds is given up, and the next goes ahead.
    """

    def __init__(
        self,
        ask: Callable[[set[K]], Coroutine[Any, Any, Mapping[K, V]]],
        deadlines: Deadlines,
        within_s: float = ASKED_WITHIN_S,
    ) -> None:
        self._ask = ask
        self._deadlines = deadlines
        self._within_s = within_s
        self._gathering = Batch[K, V]()
        self._one_at_a_time = asyncio.Lock()
        self._unended: set[asyncio.Task[Mapping[K, V]]] = set()

    async def get(self, key: K) -> V | None:
        """Return the value of a key, None when there is none.

        Raises what `ask` raises, and `TimeoutError`, to all of a batch.
        """
        batch = self._gathering
        batch.wanted.add(key)
        async with self._one_at_a_time:
            if batch.question is None:
                self._gathering = Batch[K, V]()
                batch.question = asyncio.create_task(self._asked(batch.wanted))
                batch.question.add_done_callback(_noticed)
            found = await asyncio.shield(batch.question)  # who gives up does not take it from the others
        return found.get(key)

    async def _asked(self, wanted: set[K]) -> Mapping[K, V]:
        if len(self._unended) >= MOST_HANGING:
            raise TimeoutError
        question = asyncio.create_task(self._ask(wanted))
        self._unended.add(question)
        question.add_done_callback(self._unended.discard)
        return await self._deadlines.keep(asyncio.get_running_loop().time() + self._within_s, question)


def _noticed(question: asyncio.Task[Any]) -> None:
    if not question.cancelled():
        question.exception()  # its askers may all have gone
