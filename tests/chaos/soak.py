"""`make soak`: load for a long time while parts break, each answer held against an oracle, memory against a flat line.

Exit status 1 when an answer was an allow that is not right (or wrong otherwise), a request hung, something did not come
back after it was put right, or memory, open files or threads clearly grew.
"""

import argparse
import asyncio
import base64
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

from tests.bench.load import CHECKOUT
from tests.flow.swaps import opas_of

from . import cast, memory
from .cast import Call
from .faults import BACK_WITHIN_S, OTHERS, REPLACING, Break, Ground, NotBack, Receiver, json_of
from .life import living
from .memory import Sample, Trend
from .openloop import SHARE, OpenLoop, Verdicts
from .oracle import Truth
from .tickets import approvals

BUILD = CHECKOUT / "build" / "soak"
PAUSE_S = (1.0, 4.0)  # between two faults
LOOK_EVERY_S = 2.0
SHOW_EVERY_S = 30.0
CALIBRATED_S = 8.0
MUST_NOT = ("wrong allows", "wrong otherwise", "hung", "lost", "problems", "second runs", "not back")
REPLACED_UNTIL = memory.WARM_UP  # of the run: afterwards one OPA lives on, so that its memory can be judged


@dataclass
class Soaked:
    """What a run found."""

    minutes: float
    capacity: float
    rate: float
    seed: int
    verdicts: Verdicts
    faults: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    trends: list[Trend] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Say whether something happened that must not."""
        return any(self.verdicts.counts[what] for what in MUST_NOT) or any(trend.grown for trend in self.trends)


async def soak(folder: Path, seconds: float, seed: int, say: Callable[[str], None]) -> Soaked:
    """Run it in `folder` for so long. Raises `RuntimeError` and `TimeoutError` when the service does not start."""
    receiver, rng = Receiver(), cast.dice(seed)
    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    data_dir = folder / "data"
    there = await cast.furnish(data_dir, f"sqlite+aiosqlite:///{data_dir / 'pdp.db'}")
    settings = cast.settings_of(there, folder / "org", **_told(folder, server.sockets[0].getsockname()[1]))
    async with server, living(settings, folder / "pdp.stderr") as (pid, port):
        loop = OpenLoop(there, port, Truth(), rng)
        capacity = await loop.calibrate(min(CALIBRATED_S, seconds / 4))
        soaked = Soaked(seconds / 60, capacity, SHARE * capacity, seed, loop.verdicts)
        say(f"carries {capacity:.0f} decisions a second; {soaked.rate:.0f} are asked for from now on")
        ground = Ground(loop, pid, folder / "org", rng, receiver)
        await _soaking(soaked, ground, seconds, say)
    soaked.trends = [memory.trend(part, soaked.samples, seconds) for part in ("pdp", "opa")]
    return soaked


async def _soaking(soaked: Soaked, ground: Ground, seconds: float, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    beside = [
        asyncio.create_task(_watch(soaked, ground.pid, began, seconds, say)),
        asyncio.create_task(approvals(ground.loop)),
    ]
    loading = asyncio.create_task(ground.loop.run(soaked.rate))
    try:
        await _break(soaked, ground, began, seconds)
    finally:
        ground.loop.stopped = True
        await loading
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        ground.loop.close()
        ground.wire.close()
        await ground.receiver.close()


async def _break(soaked: Soaked, ground: Ground, began: float, seconds: float) -> None:
    """Break one thing after the other, each kind once before any comes again, until the time is over."""
    due: list[Break] = []
    while (spent := time.monotonic() - began) < seconds:
        kinds = OTHERS if spent > REPLACED_UNTIL * seconds else [*REPLACING, *OTHERS]
        due = [fault for fault in due if fault in kinds] or ground.rng.sample(kinds, len(kinds))
        fault = due.pop()
        ground.loop.breaking = fault.__name__
        try:
            await fault(ground)
            await ground.until(Call(cast.PEOPLE[2], None, "get_order", {"order": "o-back"}), "allow", BACK_WITHIN_S)
        except NotBack as late:
            ground.loop.verdicts.bad("not back", f"after {fault.__name__}: {late}")
        soaked.faults[fault.__name__] += 1
        await ground.hold(PAUSE_S)


async def _watch(soaked: Soaked, pid: int, began: float, seconds: float, say: Callable[[str], None]) -> None:
    shown = began
    while True:
        at = time.monotonic() - began
        looks = [memory.look(at, "pdp", pid), *(memory.look(at, "opa", opa) for opa in opas_of(pid))]
        soaked.samples += [sample for sample in looks if sample is not None]
        if time.monotonic() - shown > SHOW_EVERY_S:
            shown = time.monotonic()
            say(f"{at:.0f}/{seconds:.0f} s, {_figures(soaked)}")
        await asyncio.sleep(LOOK_EVERY_S)


def _told(folder: Path, port: int) -> dict[str, str]:
    secret = folder / "webhook.secret"
    secret.write_text(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
    secret.chmod(0o600)
    return {"PDP_WEBHOOKS": json_of(port, secret), "PDP_UNSAFE_WEBHOOK_PRIVATE_ADDRESSES": "true"}


def _figures(soaked: Soaked) -> str:
    counts = soaked.verdicts.counts
    newest = {sample.part: sample for sample in soaked.samples[-4:]}
    sizes = ", ".join(f"{part} {sample.pss_mb:.0f} MB" for part, sample in sorted(newest.items()))
    bad = ", ".join(f"{counts[what]} {what}" for what in MUST_NOT if counts[what]) or "nothing wrong"
    return f"{soaked.verdicts.decisions:,} decisions, {soaked.faults.total()} faults, {bad}; {sizes}"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of load (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the faults and their order")
    return parser.parse_args()


def report(soaked: Soaked) -> Iterator[str]:
    """Yield what is printed at the end; the last line says it all."""
    counts, trends = soaked.verdicts.counts, soaked.trends
    for what in MUST_NOT:
        yield from (f"{what}: {example}" for example in soaked.verdicts.examples.get(what, []))
    yield "answers: " + ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    yield from map(_flatness, trends)
    decisions = ", ".join(f"{counts[what]:,} {what}" for what in ("allow", "deny", "needs_approval"))
    slopes = ", ".join(f"{trend.part} {trend.mb_per_hour:+.1f} MB/hour" for trend in trends)
    wrong = f"{counts['wrong allows']} wrong allows, {counts['wrong otherwise']} wrong otherwise, {counts['hung']} hung"
    broke = "faults: " + ", ".join(f"{count} {name}" for name, count in sorted(soaked.faults.items()))
    load = f"{soaked.minutes:g} minutes at {soaked.rate:.0f} a second: {soaked.verdicts.decisions:,} decisions"
    yield f"{load} ({decisions}); {broke}; {wrong}; {slopes} (seed {soaked.seed})"


def _flatness(trend: Trend) -> str:
    judged = "flat" if trend.observed_s >= memory.JUDGED_S else "observed too shortly to be judged"
    slope = f"{trend.mb_per_hour:+.1f} MB/hour over {trend.observed_s:.0f} s at {trend.mean_mb:.0f} MB"
    return f"{trend.part}: {slope}: " + (f"GREW: {trend.grown}" if trend.grown else judged)


def main() -> None:
    """Soak, print, write, judge."""
    chosen = options()
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
    say(f"seed {chosen.seed}")
    soaked = uvloop.run(soak(folder, chosen.minutes * 60, chosen.seed, say))
    (BUILD / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(soaked), indent=1))
    (BUILD / "memory.svg").write_text(memory.drawing(soaked.samples))
    say(f"wrote {BUILD.relative_to(CHECKOUT)}/results.json and memory.svg")
    for line in report(soaked):
        print(line)
    if soaked.failed:
        sys.exit(f"soak: FAILED; the data directory and what the service said are kept in {folder}")
    shutil.rmtree(folder)


def say(words: str) -> None:
    """Show progress, a line at a time, with or without a terminal."""
    print(f"soak: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
