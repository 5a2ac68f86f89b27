"""What one run of one row measures: closed loops that ask until time is up, and every answer checked."""

import asyncio
import time
from array import array

from msgspec import Struct

WARM_UP = 0.15  # share of a run that is not counted: connections open, and caches and buffers fill


class Measured(Struct, frozen=True):
    """One run. `asked` counts every answer, warm-up included; `own_cpu_us` is this process's CPU, each."""

    asked: int
    p50_us: float
    p99_us: float
    rps: float
    own_cpu_us: float


class WrongAnswer(Exception):
    """An answer that is not the allow which every request of the bench must get."""


class Tally:
    """Collects the latencies of one run, from now on for `seconds`. Times are seconds of `time.perf_counter`."""

    def __init__(self, seconds: float) -> None:
        self._cpu = time.process_time()
        self._counted_from = time.perf_counter() + WARM_UP * seconds
        self._until = time.perf_counter() + seconds
        self._last = self._counted_from
        self._asked = 0
        self._latencies = array("d")
        self.failed: asyncio.Future[list[None]] = asyncio.get_running_loop().create_future()

    def note(self, began: float) -> bool:
        """Take down one answer to what was asked at `began`; returns whether to ask again: until one counts, too."""
        now = time.perf_counter()
        self._asked += 1
        if began >= self._counted_from:
            self._latencies.append(now - began)
            self._last = now
        return (now < self._until or not self._latencies) and not self.failed.done()

    def fail(self, what: str) -> None:
        """End the run: something that must not happen has happened."""
        if not self.failed.done():
            self.failed.set_exception(WrongAnswer(what))

    async def unless_failed(self, everyone: asyncio.Future[list[None]]) -> None:
        """Wait until everyone has ended. Raises `WrongAnswer` as soon as something failed."""
        await asyncio.wait({everyone, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            self.failed.result()

    def measured(self) -> Measured:
        """Return what was measured. Raises `WrongAnswer` when there was nothing to count."""
        ordered = sorted(self._latencies)
        if not ordered:
            raise WrongAnswer("no answer arrived in time: give each run more --seconds")
        return Measured(
            asked=self._asked,
            p50_us=percentile(ordered, 0.50) * 1e6,
            p99_us=percentile(ordered, 0.99) * 1e6,
            rps=len(ordered) / (self._last - self._counted_from),
            own_cpu_us=(time.process_time() - self._cpu) / self._asked * 1e6,
        )


def percentile(ordered: list[float], share: float) -> float:
    """Return the value below which `share` of the ordered values lie (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
