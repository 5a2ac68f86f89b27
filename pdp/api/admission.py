"""Admission: how many requests may be decided at the same time, in all and for one adapter; the rest is turned away.

A queue longer than can be served before its deadline only makes every call in it late. So whoever comes to a full
house is told so at once, with a deny, and memory stays bounded. One adapter gets half of the places at most: however
it behaves, and however slow what it asks for is, the others find room.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import REFUSALS, Rejected

RETRY_AFTER_S = "1"  # the deadlines of whatever is under way end within half of that
LARGEST_SHARE = 2  # an adapter holds one part in so many at most


class Overloaded(Rejected):
    """There is no place for this request now; nothing was decided."""

    def __init__(self) -> None:
        super().__init__(503, "overload", REFUSALS["overload"].title, headers={"Retry-After": RETRY_AFTER_S})


class Places:
    """So many places for requests; a batch takes one, because its items are judged a few at a time.

    `share`: how many one caller holds at most; half of them unless given. `held`: how many are taken now.
    """

    def __init__(self, most: int, share: int | None = None) -> None:
        self.most = most
        self._share = share or max(1, most // LARGEST_SHARE)
        self._taken: Counter[str] = Counter()
        self.held = 0

    @contextmanager
    def taken(self, pep: str) -> Iterator[None]:
        """Hold a place for a request of this caller as long as the context lasts. Raises `Overloaded`."""
        if self.held >= self.most or self._taken[pep] >= self._share:
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
