"""A bounded map of the most recently used values, each loaded once however many ask for it at the same time.

What was loaded before a change and arrives after it must not be kept: so every `drop` starts a new epoch, and a
value is kept only when its epoch is still the current one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """Keeps at most `size` values that `load` returned; what `load` raises is raised to all who wait, and not kept."""

    def __init__(self, size: int, load: Callable[[K], Awaitable[V]]) -> None:
        self._size = size
        self._load = load
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._loading: dict[K, asyncio.Task[V]] = {}
        self._epoch = 0

    def kept(self, key: K) -> V:
        """Return a kept value, the most recently used one from now on. Raises `KeyError` when it has to be loaded.

        Without a coroutine, of which a decision saves a dozen.
        """
        self._kept.move_to_end(key)
        return self._kept[key]

    async def get(self, key: K) -> V:
        """Return the kept value, or load it. A caller that gives up does not stop the load for the others."""
        if key in self._kept:
            return self.kept(key)
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._fill(key))
            task.add_done_callback(_noticed)
        return await asyncio.shield(task)

    def drop(self, keys: Iterable[K]) -> None:
        """Forget these values, and those that are just being loaded."""
        self._epoch += 1
        for key in keys:
            self._kept.pop(key, None)
        self._loading.clear()

    def drop_where(self, concerned: Callable[[V], bool]) -> None:
        """Forget the values that `concerned` picks, and those that are just being loaded."""
        self.drop([key for key, value in self._kept.items() if concerned(value)])

    def clear(self) -> None:
        """Forget everything."""
        self.drop(list(self._kept))

    async def _fill(self, key: K) -> V:
        epoch = self._epoch
        try:
            value = await self._load(key)
        finally:
            if self._loading.get(key) is asyncio.current_task():
                del self._loading[key]
        if epoch == self._epoch:
            self._kept[key] = value
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value


def _noticed(task: asyncio.Task[V]) -> None:
    if not task.cancelled():
        task.exception()  # those who waited have it; nobody may have waited until the end
