"""Times: how long something took, counted into buckets. The Prometheus library would take a lock and 2 us each time."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Protocol

BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the buckets: from an evaluation in process to a disk that hangs."""


class Meter(Protocol):
    """Whoever wants to know how long each took."""

    def add(self, seconds: float) -> None:
        """Take note of one."""


class Times:
    """A histogram of seconds. One thread adds; whoever reads meanwhile may miss the last one."""

    __slots__ = ("_counts", "total_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Yield each upper bound as Prometheus writes it, with how many took no longer."""
        so_far = 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._counts, strict=True):
            so_far += count
            yield bound, so_far
