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

from ..errors import REFUSALS, Rejected
from ..meter import Times

RETRY_AFTER_S = "1"  # the deadlines of whatever is under way end within half of that
LARGEST_SHARE = 2  # an adapter holds one part in so many at most
LEAST = 16  # places, however slow: four times what the engine works on at once, on two cores
SHRINKS_TO = 0.5  # of the places, after a slow answer (RFC 5681, section 3.1): twice too many are gone after one
SLOW = 0.5  # of the deadline: what comes behind an answer that took longer is about to be late


class Overloaded(Rejected):
    """There is no place for this request now; nothing was decided."""

    def __init__(self) -> None:
        super().__init__(503, "overload", REFUSALS["overload"].title, headers={"Retry-After": RETRY_AFTER_S})


class Places:
    """So many places for requests; a batch takes one, because its items are judged a few at a time.

    `share`: how many one caller holds at most; half of them unless given. `room`: how many may be held now, by all,
    and `held`: how many are.
    """

    def __init__(self, most: int, share: int | None = None) -> None:
        self.most = most
        self.room: float = most
        self._share = share
        self._taken: Counter[str] = Counter()
        self.held = 0

    @contextmanager
    def taken(self, pep: str) -> Iterator[None]:
        """Hold a place for a request of this caller as long as the context lasts. Raises `Overloaded`."""
        room = int(self.room)
        if self.held >= room or self._taken[pep] >= (self._share or max(1, room // LARGEST_SHARE)):
            raise Overloaded
        self.held += 1
        self._taken[pep] += 1
        try:
            yield
        finally:
            self.held -= 1
            self._taken[pep] -= 1
            if not self._taken[pep]:
                del self._taken[pep]

    @contextmanager
    def patience(self, pep: str, wanted_s: float) -> Iterator[float]:
        """Yield how many seconds this caller may wait here: none while too many do, which they learn by the answer."""
        with ExitStack() as place:
            try:
                place.enter_context(self.taken(pep))
            except Overloaded:
                wanted_s = 0.0
            yield wanted_s


class Learning(Places):
    """Places of which fewer are given while the engine's answers take too long, and again more as they come in time.

    Additive increase, multiplicative decrease, once for those under way together (RFC 5681, section 3.1). A slow answer
    in a house that is not half full says nothing about the queue, and changes nothing. Nor does what else a caller may
    wait for, such as the store: or one who waits there could take the places of all the others.

    `engine`: how long the engine took, with its queue.
    """

    def __init__(self, most: int, within_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """`within_s`: the deadline of a decision; `now`: a clock in seconds."""
        super().__init__(most)
        self.engine = Times()
        self._slow_s = SLOW * within_s
        self._now = now
        self._shrunk = -math.inf

    def add(self, seconds: float) -> None:
        """Take note of how long the engine took for somebody who holds a place."""
        self.engine.add(seconds)
        if seconds < self._slow_s:
            self.room = min(self.most, self.room + 1 / self.room)
        elif self._now() - seconds >= self._shrunk and self.held * LARGEST_SHARE >= int(self.room):
            self.room = max(min(LEAST, self.most), self.room * SHRINKS_TO)
            self._shrunk = self._now()
