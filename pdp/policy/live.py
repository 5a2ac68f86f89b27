"""Live: the policy in force, one pair of pack and engine that is only ever replaced as a whole.

Whoever judges holds one `Active` from beginning to end: the weights of risk, the engine asked and the rules its answer
is read by are then of one revision. An engine that was replaced stays open until nobody holds its policy any more.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..engine import Engine
from .pack import Pack


@dataclass(frozen=True, eq=False)
class Active:
    """A policy that may decide: a checked pack and the engine that runs it, never one without the other."""

    pack: Pack
    engine: Engine


class Policy:
    """Holds the policy in force, and knows who still judges by which."""

    def __init__(self, active: Active) -> None:
        self.active = active
        self._held: dict[Active, int] = {}
        self._released: asyncio.Event = asyncio.Event()

    @contextmanager
    def held(self) -> Iterator[Active]:
        """Yield the policy in force; its engine answers at least until the context ends."""
        active = self.active
        self._held[active] = self._held.get(active, 0) + 1
        try:
            yield active
        finally:
            self._held[active] -= 1
            if not self._held[active]:
                del self._held[active]
                self._released.set()
