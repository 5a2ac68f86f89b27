"""The rounds in which rows are measured one after the other, again and again: they share the weather.

A quiet machine is not needed, only one that is as noisy to every row: figures are medians over rounds, and rows of one
run may be compared with each other, not with those of another.
"""

import asyncio
import statistics
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from msgspec import Struct

from . import cpu
from .job import Order
from .load import Load
from .rows import Kind, Row
from .tally import Measured


class Sample(Struct, frozen=True):
    """One run of one row: what the load measured, and CPU for each decision (columns as in `Row`)."""

    measured: Measured
    pdp_cpu_us: float
    opa_cpu_us: float
    adapter_cpu_us: float = 0.0
    each: int = 1

    @property
    def rps(self) -> float:
        """Return decisions a second."""
        return self.measured.rps * self.each


@dataclass(frozen=True)
class Course:
    """One row on the course: who makes the load, on what, and whose CPU is read meanwhile."""

    name: str
    kind: Kind
    load: Load
    pdp_pid: int | None = None
    opa_pid: int | None = None

    @property
    def pids(self) -> list[int]:
        """Return the processes whose CPU is read."""
        return [pid for pid in (self.pdp_pid, self.opa_pid) if pid is not None]

    async def run(self, connections: int, seconds: float, idle: dict[int, float]) -> Sample:
        """Measure once, until all rest again: CPU counts what the service still does after the last answer.

        `idle`: microseconds a second that each process uses when nobody asks, which do not count while we wait for
        that rest. While we ask, they count.
        """
        before = {pid: cpu.spent_us(pid) for pid in self.pids}
        measured = await self.load.run(Order(self.name, connections, seconds))
        ended = asyncio.get_running_loop().time()
        if self.pids:
            await cpu.quiet(self.pids)
        waited = asyncio.get_running_loop().time() - ended
        asked = measured.asked * self.kind.each
        spent = {pid: max(0.0, cpu.spent_us(pid) - before[pid] - idle[pid] * waited) / asked for pid in self.pids}
        own = measured.own_cpu_us / self.kind.each
        return Sample(
            measured,
            pdp_cpu_us=own if self.kind.own == "pdp" else spent.get(self.pdp_pid or 0, 0.0),
            opa_cpu_us=spent.get(self.opa_pid or 0, 0.0),
            adapter_cpu_us=own if self.kind.own == "adapter" else 0.0,
            each=self.kind.each,
        )


Samples = dict[tuple[str, int], list[Sample]]


async def measure(courses: list[Course], rounds: int, seconds: float) -> AsyncIterator[tuple[int, Samples]]:
    """Measure every row at each of its numbers of connections, round by round; every other round goes backwards."""
    for together in {tuple(course.pids): course.pids for course in courses}.values():
        await cpu.quiet(together)
    idle = await cpu.idle_us({pid for course in courses for pid in course.pids})
    pairs = list(_pairs(courses))
    samples: Samples = {(course.name, connections): [] for course, connections in pairs}
    for number in range(1, rounds + 1):
        for course, connections in pairs if number % 2 else reversed(pairs):
            samples[course.name, connections].append(await course.run(connections, seconds, idle))
        yield number, samples


def _pairs(courses: list[Course]) -> Iterator[tuple[Course, int]]:
    for connections in sorted({number for course in courses for number in course.kind.connections}):
        yield from ((course, connections) for course in courses if connections in course.kind.connections)


def medians(samples: Samples) -> list[Row]:
    """Return the rows of the results."""
    return [
        Row(
            name,
            connections,
            p50_us=_median(run.measured.p50_us for run in runs),
            p99_us=_median(run.measured.p99_us for run in runs),
            rps=_median(run.rps for run in runs),
            pdp_cpu_us=_median(run.pdp_cpu_us for run in runs),
            opa_cpu_us=_median(run.opa_cpu_us for run in runs),
            adapter_cpu_us=_median(run.adapter_cpu_us for run in runs),
        )
        for (name, connections), runs in samples.items()
    ]


def _median(values: Iterator[float]) -> float:
    return round(statistics.median(values), 1)
