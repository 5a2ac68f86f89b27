"""Rounds of kill -9 under load, and what must be true after each of them."""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pdp.audit.shard import segments
from tests.bench.load import CHECKOUT
from tests.flow.swaps import opas_of

from . import cast
from .clients import Crowd, Service
from .ledger import Ledger
from .life import living, runs

KINDS = {"pdp": 4, "opa": 3, "both": 3}  # how often each is killed, of ten rounds
ADAPTERS, APPROVALS = 8, 4  # connections with mixed calls; calls that are followed from question to use
ANSWERS, CALM_S = 150, 1.5  # a kill comes after so many answers of its round at most, at random, or so many seconds
BETWEEN_S = 0.05  # between the two kills of `both`, at most, in either order
BACK_WITHIN_S = 60.0  # until an allow: a start takes 1.5 s on a quiet machine; 25 were seen on a very busy one
ORPHANS_WITHIN_S = 5.0
GENERATION = 25  # rounds in one data directory: the log is read whole in each round, so it must not grow forever
TORN = 0.25  # of the PDP's kills also leave a torn last line, as a power cut does: kill -9 seldom tears one
LEFT_BEHIND = b'{"index":'
WIDE = {"PDP_DECIDE_WITHIN_S": "2", "PDP_RECORD_WITHIN_S": "2"}  # this is not about time, and machines are busy

Url = Callable[[Path], str]


@dataclass
class Tally:
    """What happened in all rounds."""

    kills: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    back: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def add(self, crowd: Crowd) -> None:
        """Take over what a generation of clients counted."""
        self.counts.update(crowd.counts)
        self.counts["answers checked"] += crowd.ledger.checked
        self.counts["records"] += crowd.ledger.recorded
        self.counts["approvals redeemed"] += len(crowd.ledger.redeemed)
        self.violations += crowd.ledger.violations


class Verifier:
    """The process that runs `pdp log verify`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def problem(self, data_dir: Path) -> str:
        """Return what the command finds wrong; empty when the log is whole."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("the verifier has no pipes")
        self._process.stdin.write(f"{data_dir}\n".encode())
        told = json.loads(await self._process.stdout.readline())
        return "" if told["status"] == 0 else f"pdp log verify: {told['said']}"


@dataclass
class Grounds:
    """One generation: a data directory, whoever asks, and the service that is killed."""

    crowd: Crowd
    settings: dict[str, str]
    verifier: Verifier
    tally: Tally
    rng: random.Random
    pid: int = 0
    torn: int = 0
    life: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def service(self) -> Service:
        """Return where the service is."""
        return self.crowd.service

    async def serve(self) -> None:
        """Start the next life."""
        data_dir = self.crowd.cast.home.data_dir
        started = living(self.settings, data_dir.with_suffix(".stderr"))
        self.pid, self.service.port = await self.life.enter_async_context(started)
        self.service.life += 1
        self.service.dying = False
        self.service.up.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve, let everybody ask, and wait for the first allow; at the end check all there is."""
        crowd = self.crowd
        everybody = [crowd.adapter() for _ in range(ADAPTERS)] + [crowd.approval(number) for number in range(APPROVALS)]
        asking = [asyncio.create_task(one) for one in everybody]
        try:
            await self.serve()
            await self.allowed(0.0)
            yield
            crowd.stopped = True
            await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()
            await self.life.aclose()
        await self.end()

    async def round(self, kind: str) -> None:
        """Kill one kind of part at a random moment, put it up again, and check everything."""
        await self.answered(self.rng.randint(1, ANSWERS))
        killed = asyncio.get_running_loop().time()
        if kind == "opa":
            self.kill_opas()
            problem = await self.verifier.problem(self.crowd.cast.home.data_dir)
        else:
            problem = await self.kill_pdp(both=kind == "both")
        self.tally.kills[kind] += 1
        self.tally.back.append(await self.allowed(killed))
        await asyncio.to_thread(self.crowd.ledger.check)
        if problem:
            self.crowd.ledger.violations.append(problem)

    async def answered(self, number: int) -> None:
        """Return after so many more answers; on a machine that is too busy for them, after a while."""
        counts, until = self.crowd.counts, time.monotonic() + CALM_S
        enough = counts.total() + number
        while counts.total() < enough and time.monotonic() < until:  # noqa: ASYNC110  # the load runs
            await asyncio.sleep(0.001)

    def kill_opas(self) -> list[int]:
        """Kill every OPA of the service; returns them."""
        opas = opas_of(self.pid)
        for opa in opas:
            os.kill(opa, signal.SIGKILL)
        return opas

    async def kill_pdp(self, *, both: bool) -> str:
        """Kill the PDP, with its OPA shortly before or after when `both`; restart it, and return what verify says."""
        self.service.dying = True
        opas = opas_of(self.pid)
        opa_first = both and self.rng.random() < 0.5
        if opa_first:
            self.kill_opas()
            await asyncio.sleep(self.rng.uniform(0, BETWEEN_S))
        self.service.up.clear()
        os.kill(self.pid, signal.SIGKILL)
        if both and not opa_first:
            for opa in filter(runs, opas):
                os.kill(opa, signal.SIGKILL)
        await self.life.aclose()
        await self.no_orphans(opas)
        if self.rng.random() < TORN:
            self.tear()
        problem, _ = await asyncio.gather(self.verifier.problem(self.crowd.cast.home.data_dir), self.serve())
        return problem

    def tear(self) -> None:
        """Leave the beginning of a line at the end of the log, as a write that was cut off does."""
        with segments(self.crowd.cast.home.data_dir / "log" / "0")[-1].open("ab") as file:
            file.write(LEFT_BEHIND)
        self.torn += 1

    async def no_orphans(self, opas: list[int]) -> None:
        """See that no OPA outlives its PDP."""
        end = time.monotonic() + ORPHANS_WITHIN_S
        while any(map(runs, opas)):
            if time.monotonic() > end:
                self.crowd.ledger.violations.append(f"OPA outlived the PDP: {[opa for opa in opas if runs(opa)]}")
                return
            await asyncio.sleep(0.01)

    async def allowed(self, after: float) -> float:
        """Wait until something was allowed that was asked after a moment of the loop; returns how long that took."""
        service = self.service
        try:
            async with asyncio.timeout(BACK_WITHIN_S), service.allowed:
                await service.allowed.wait_for(lambda: service.last_allow_asked > after)
        except TimeoutError:
            self.crowd.ledger.violations.append(f"no allow within {BACK_WITHIN_S:g} s after a kill")
        return asyncio.get_running_loop().time() - after

    async def end(self) -> None:
        """Look at the whole log once more, and add up."""
        ledger = self.crowd.ledger
        await asyncio.to_thread(ledger.check)
        if problem := await self.verifier.problem(ledger.data_dir):
            ledger.violations.append(problem)
        if ledger.mended < self.torn:
            ledger.violations.append(f"{self.torn} torn tails, and {ledger.mended} mended")
        self.tally.add(self.crowd)
        self.tally.counts["torn tails"] += self.torn


@asynccontextmanager
async def verifying() -> AsyncIterator[Verifier]:
    """Run the process that verifies logs."""
    command, pipe = [sys.executable, "-m", "tests.chaos.verifier"], asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdin=pipe, stdout=pipe)
    try:
        yield Verifier(process)
    finally:
        process.kill()
        await process.wait()


def drawn(rng: random.Random, count: int) -> list[str]:
    """Return what is killed in each of so many rounds."""
    return rng.choices(list(KINDS), weights=list(KINDS.values()), k=count)


async def chaos(folder: Path, kinds: list[str], rng: random.Random, url: Url, tally: Tally) -> AsyncIterator[int]:
    """Kill one after the other in `folder`; yields the number of each round when it is over. `tally` is filled.

    `url` makes an empty store for a data directory and says where it is.
    Raises `RuntimeError` and `TimeoutError` when a life does not start.
    """
    async with verifying() as verifier:
        for first in range(0, len(kinds), GENERATION):
            data_dir = folder / f"data-{first}"
            store = url(data_dir)
            there = await cast.furnish(data_dir, store)
            settings = cast.settings_of(there, folder / "org", PDP_DATABASE_URL=store, **WIDE)
            grounds = Grounds(Crowd(there, Service(), Ledger(data_dir), rng), settings, verifier, tally, rng)
            async with grounds.open():
                for number, kind in enumerate(kinds[first : first + GENERATION], first + 1):
                    await grounds.round(kind)
                    yield number
            if not tally.violations:
                shutil.rmtree(data_dir)
