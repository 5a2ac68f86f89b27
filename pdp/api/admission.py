"""Admission: how many requests may be decided at the same time, in all and for one adapter; the rest is turned away.

A queue longer than can be served before its deadline only makes every call in it late. So whoever comes to a full
house is told so at once, with a deny, and memory stays bounded. One adapter gets half of the places at most: however
it behaves, and however slow what it asks for is, the others find room.

How long a queue can be served in time, only the machine knows, and not the same each minute: so it is learned.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ..engine.opa import CONNECTIONS
from ..errors import REFUSALS, Rejected
from ..meter import Times

RETRY_AFTER_S = "1"  # the deadlines of whatever is under way end within half of that
LARGEST_SHARE = 2  # an adapter holds one part in so many at most
LEAST = 4 * CONNECTIONS  # places, however slow: what the engine works on, and three more of each
SHRINKS_TO = 0.5  # of the places, after a slow answer (RFC 5681, section 3.1): twice too many are gone after one
SLOW = 0.5  # of the deadline: what comes behind an answer that took longer is about to be late


class Overloaded(Rejected):
    """There is no place for this request now; nothing was decided."""

    def __init__(self) -> None:
        super().__init__(503, "overload", REFUSALS["overload"].title, headers={"Retry-After": RETRY_AFTER_S})


class Places:
    """So many places for calls.

    `share`: how many one caller holds at most; half of them unless given. `held`: how many are taken now.
    """

    def __init__(self, most: int, share: int | None = None) -> None:
        self.most = most
        self._share = share or max(1, most // LARGEST_SHARE)
        self._taken: Counter[str] = Counter()
        self.held = 0

    def free(self, pep: str) -> int:
        """Return how many more this caller may take."""
        return min(self.most - self.held, self._share - self._taken[pep])

    def taken(self, pep: str) -> "Held":
        """Hold a place for a request of this caller as long as the context lasts. Raises `Overloaded`."""
        if self.free(pep) < 1:
            raise Overloaded
        return Held(self, pep, 1)

    def more(self, pep: str, wanted: int) -> "Held":
        """Hold so many further places, or half of those that are free; yields how many."""
        return Held(self, pep, max(0, min(wanted, self.free(pep) // 2)))

    @contextmanager
    def patience(self, pep: str, wanted_s: float) -> Iterator[float]:
        """Yield how many seconds this caller may wait here: none while too many do, which they learn by the answer."""
        with ExitStack() as place:
            try:
                place.enter_context(self.taken(pep))
            except Overloaded:
                wanted_s = 0.0
            yield wanted_s

    def take(self, pep: str, count: int) -> None:
        """Count so many as taken by this caller."""
        self.held += count
        self._taken[pep] += count

    def give_back(self, pep: str, count: int) -> None:
        """Count so many as free again."""
        self.held -= count
        self._taken[pep] -= count
        if not self._taken[pep]:
            del self._taken[pep]


class Held:
    """So many places of one caller, as long as the context lasts. Every decision enters one."""

    __slots__ = ("_count", "_pep", "_places")

    def __init__(self, places: Places, pep: str, count: int) -> None:
        self._places, self._pep, self._count = places, pep, count

    def __enter__(self) -> int:
        self._places.take(self._pep, self._count)
        return self._count

    def __exit__(self, *_: object) -> None:
        self._places.give_back(self._pep, self._count)


class Learning(Places):
    """Places of which fewer are given while the engine's answers take too long, and again more as they come in time.

    Additive increase, multiplicative decrease, once for those under way together (RFC 5681, section 3.1). An adapter
    that has half of all that is under way gives up half of its own share, and nobody else's: only where none stands out
    there are fewer places for all. A slow answer where neither a share nor the house is half full says nothing about
    the queue. Nor does what else a caller may wait for, such as the store.

    `engine`: how long the engine took, with its queue. `room`: how many places there are now, of `most`.
    """

    def __init__(self, most: int, within_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """`within_s`: the deadline of a decision; `now`: a clock in seconds."""
        super().__init__(most)
        self.engine = Times()
        self.room: float = most
        self._shares: dict[str, float] = {}  # of those who had to give up a part of theirs
        self._slow_s = SLOW * within_s
        self._now = now
        self._shrunk = -math.inf

    def free(self, pep: str) -> int:
        """Return how many more this caller may take now."""
        return min(int(self.room) - self.held, self._share_of(pep) - self._taken[pep])

    def add(self, seconds: float) -> None:
        """Take note of how long the engine took for somebody who holds a place."""
        self.engine.add(seconds)
        if seconds < self._slow_s:
            self._grow()
        elif self._now() - seconds >= self._shrunk and self._shrink():
            self._shrunk = self._now()

    def _share_of(self, pep: str) -> int:
        whole = max(1, int(self.room) // LARGEST_SHARE)
        return min(whole, int(self._shares.get(pep, whole)))

    def _shrink(self) -> bool:
        """Take places from who has most of them, or from all; say whether somebody had too many."""
        pep, most = max(self._taken.items(), key=lambda item: item[1], default=("", 0))
        share = self._share_of(pep)
        if most * 2 >= max(self.held, share):
            self._shares[pep] = max(min(LEAST // LARGEST_SHARE, share), share * SHRINKS_TO)
        elif self.held * 2 >= self.room:
            self.room = max(min(LEAST, self.most), self.room * SHRINKS_TO)
        else:
            return False
        return True

    def _grow(self) -> None:
        self.room = min(self.most, self.room + 1 / self.room)
        for pep, share in [*self._shares.items()]:
            self._shares[pep] = share + 1 / share
            if share >= self.room / LARGEST_SHARE:
                del self._shares[pep]
