"""Live: the policy in force, one pair of pack and engine that is only ever replaced as a whole.

Whoever judges holds one `Active` from beginning to end: the weights of risk, the engine asked and the rules its answer
is read by are then of one revision. An engine that was replaced stays open until nobody holds its policy any more.

An engine of ours is replaced by `switch`. A sidecar loads its policy by itself, so a new one is offered to it, and is
in force from the first answer that names it; from then on the one before is refused like any other (decision 0017).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from ..engine import Engine
from .pack import Pack

DRAINS_WITHIN_S = 10.0  # what still holds a policy then is a batch on a machine in trouble; its calls are refused
MAX_OFFERS = 8  # that a sidecar has not taken up; nobody changes policy so often while it is away

StartEngine: TypeAlias = Callable[[Pack], Awaitable[Engine]]
"""Starts an engine on a pack; returns it once its policy passed the probe, and leaves nothing behind when it did not.

Raises `Fault` (or `PackRefused`) saying what to do. Called on the main thread, whose end is that of an OPA.
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Active:
    """A policy that may decide: a checked pack and the engine that runs it, never one without the other."""

    pack: Pack
    engine: Engine


class Policy:
    """Holds the policy in force and those offered to a sidecar, and knows who still judges by which."""

    def __init__(self, active: Active) -> None:
        self.active = active
        self.offered_at = 0.0  # in the loop's time
        self._offers: list[Active] = []
        self._held: dict[Active, int] = {}
        self._idle: dict[Active, asyncio.Event] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._hushed = False

    @property
    def newest(self) -> Active:
        """Return the policy that should be in force: the last one offered, else the one that is."""
        return self._offers[-1] if self._offers else self.active

    @contextmanager
    def held(self) -> Iterator[Active]:
        """Yield the policy in force; its engine answers at least until the context ends, within bounds."""
        active = self.active
        self._held[active] = self._held.get(active, 0) + 1
        try:
            yield active
        finally:
            self._held[active] -= 1
            if not self._held[active]:
                del self._held[active]
                if active in self._idle:
                    self._idle[active].set()

    def switch(self, to: Active) -> None:
        """Put another policy in force; every call that begins from now on is judged by it."""
        replaced, self.active = self.active, to
        self._retire(replaced)
        self._tell()

    def offer(self, to: Active) -> None:
        """Let the sidecar have another policy, which is in force from its first answer under it."""
        self._offers.append(to)
        self.offered_at = asyncio.get_running_loop().time()
        if len(self._offers) > MAX_OFFERS:
            self._retire(self._offers.pop(0))
        self._tell()

    def taken_up(self, revision: str | None) -> Active | None:
        """Return the policy in force if `revision`, which an engine has named, is its own or that of an offer.

        An offer is in force from now on, and what was before it no more.
        """
        if revision == self.active.pack.revision:
            return self.active
        for place, offered in enumerate(self._offers):
            if offered.pack.revision == revision:
                passed, self._offers = self._offers[:place], self._offers[place + 1 :]
                replaced, self.active = self.active, offered
                for policy in (replaced, *passed):
                    self._retire(policy)
                return offered
        return None

    def withdraw_offers(self) -> None:
        """Accept nothing but the policy in force: the sidecar was offered that one again, and runs it."""
        for offered in self._offers:
            self._retire(offered)
        self._offers = []

    async def newest_but(self, known: Container[str], within_s: float) -> Active | None:
        """Return the newest policy as soon as its revision is not among `known`; None when there is none in time."""
        try:
            async with asyncio.timeout(within_s):
                while self.newest.pack.revision in known and not self._hushed:
                    await self._news.wait()
        except TimeoutError:
            return None
        return None if self.newest.pack.revision in known else self.newest

    def hush(self) -> None:
        """Let nobody wait for news any more: the service is about to stop."""
        self._hushed = True
        self._tell()

    async def close(self) -> None:
        """Close every engine; calls on their way are refused."""
        self.hush()
        for idle in self._idle.values():
            idle.set()
        await asyncio.gather(*self._retiring)
        for policy in (*self._offers, self.active):
            await policy.engine.close()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _retire(self, replaced: Active) -> None:
        task = asyncio.create_task(self._drained(replaced), name=f"retire {replaced.pack.revision}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _drained(self, replaced: Active) -> None:
        """Close an engine once nobody judges by its policy any more."""
        idle = self._idle[replaced] = asyncio.Event()
        try:
            if replaced in self._held and not self._hushed:
                async with asyncio.timeout(DRAINS_WITHIN_S):
                    await idle.wait()
        except TimeoutError:
            logger.warning("calls that began under %s are refused: it was replaced", replaced.pack.revision)
        finally:
            del self._idle[replaced]
            await replaced.engine.close()
