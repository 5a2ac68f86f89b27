"""`python -m tests.bench.scale`: import 100,000 people, 1,000 groups and 300,000 entitlements; a decision then.

Prints the time and memory of the import, and p50 of a decision in a small store and in the large one, both services
running at once and asked in turn. Exit status 1 when the large one costs more than 1.2 times as much.
"""

import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct

from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.store.sql import open_store
from pdp.times import system_clock

from . import http_load, people, rounds, stage
from .job import Target
from .tally import WrongAnswer

PEOPLE, GROUPS, RIGHTS_EACH = 100_000, 1_000, 3
BOUND = 1.2  # times the cost of a decision in a small store (issue 4)
ROUNDS, SECONDS = 5, 1.0


class Imported(Struct, frozen=True):
    """What the import cost: seconds, the most memory of its process in MiB, the size of the store in MiB."""

    rows: int
    seconds: float
    again_seconds: float
    peak_mib: int
    store_mib: int


def feed() -> bytes:
    """Return the large feed; everyone is in one group and holds three rights of their own."""
    crowd = [
        {
            "id": f"crowd-{number}",
            "aliases": people.alias(f"sub-crowd-{number}"),
            "groups": [f"team-{number % GROUPS}"],
            "entitlements": [people.right(f"app-{number % 97}/tool-{turn}") for turn in range(RIGHTS_EACH)],
        }
        for number in range(PEOPLE)
    ]
    document: dict[str, Any] = {"source": "crowd", "people": crowd}
    return json.dumps({**document, "groups": [{"id": f"team-{number}"} for number in range(GROUPS)]}).encode()


async def import_crowd(data_dir: Path) -> Imported:
    """Import the large feed into the store of a data directory, twice."""
    file = data_dir / "pdp.db"
    store = await open_store(f"sqlite+aiosqlite:///{file}")
    try:
        body, began = feed(), time.perf_counter()
        rows = len(await import_identity(store, read_feed(body), system_clock()))
        between = time.perf_counter()
        if again := await import_identity(store, read_feed(body), system_clock()):
            raise WrongAnswer(f"the same import again changed {len(again)} rows")
        ended = time.perf_counter()
    finally:
        await store.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Imported(rows, between - began, ended - between, peak_mib=peak, store_mib=file.stat().st_size // 2**20)


async def decisions(folder: Path) -> tuple[Imported, float, float]:
    """Return what the import cost, and p50 in microseconds of a decision in the small and in the large store."""
    homes = [await stage.furnish(folder / name) for name in ("small", "large")]
    imported = await import_crowd(homes[1].data_dir)
    samples: list[list[float]] = [[], []]
    async with AsyncExitStack() as stack:
        served = [await stack.enter_async_context(stage.serving(home, rounds.CHECKOUT)) for home in homes]
        asked = [home.requests(people.queries(home.idp, people.READ)) for home in homes]
        for number in range(ROUNDS):
            for at, port in enumerate(port for _, port in served):
                target = Target("pdp", asked[at], port=port)
                samples[at].append((await http_load.run(target, 1, SECONDS)).p50_us)
            say(f"round {number + 1}/{ROUNDS}: small {samples[0][-1]:.0f} us, large {samples[1][-1]:.0f} us")
    return imported, statistics.median(samples[0]), statistics.median(samples[1])


def say(text: str) -> None:
    """Show progress, a line at a time."""
    print(f"scale: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, judge."""
    say(f"importing {PEOPLE:,} people, {GROUPS:,} groups, {PEOPLE * RIGHTS_EACH:,} entitlements")
    with tempfile.TemporaryDirectory(prefix="pdp-scale-") as folder:
        try:
            imported, small, large = asyncio.run(decisions(Path(folder)))
        except (WrongAnswer, RuntimeError, TimeoutError) as error:
            sys.exit(f"scale: FAILED: {error}")
    print(f"import: {imported.rows:,} rows in {imported.seconds:.1f} s, again {imported.again_seconds:.1f} s")
    print(f"memory: at most {imported.peak_mib} MiB; the store has {imported.store_mib} MiB")
    print(f"decision, p50: {small:.0f} us in a small store, {large:.0f} us in this one, {large / small:.2f} times")
    if large > BOUND * small:
        sys.exit(f"scale: FAILED: a decision must cost at most {BOUND} times as much")


if __name__ == "__main__":
    main()
