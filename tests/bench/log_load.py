"""The load of `log_write` and `log_durable`: our log alone, with the decision records that the PDP wrote before."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Raw

from pdp.audit.log import Log
from pdp.errors import Unrecorded
from pdp.times import system_clock

from .job import Target, work
from .tally import Measured, Tally, WrongAnswer

WRITTEN_WITHIN = 5.0  # seconds: a queue is measured here, not cut off


async def run(target: Target, callers: int, seconds: float) -> Measured:
    """Append with so many callers at once, to a fresh log in the target's folder. Raises `WrongAnswer`."""
    bodies = itertools.cycle(target.requests)
    with tempfile.TemporaryDirectory(dir=target.folder) as folder:
        log = Log(Path(folder) / "log", system_clock)
        tally = Tally(seconds)
        try:
            appending = (_caller(log, bodies, tally, durable=target.speaks == "durable") for _ in range(callers))
            await asyncio.gather(*appending)
            return tally.measured()
        finally:
            await log.close()


async def _caller(log: Log, bodies: Iterator[bytes], tally: Tally, *, durable: bool) -> None:
    loop = asyncio.get_running_loop()
    more = True
    while more:
        began = time.perf_counter()
        try:
            await log.append("decision", Raw(next(bodies)), durable=durable, deadline=loop.time() + WRITTEN_WITHIN)
        except Unrecorded as error:
            raise WrongAnswer(str(error)) from None
        more = tally.note(began)


if __name__ == "__main__":
    work(run)
