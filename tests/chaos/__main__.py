"""`make chaos`: kill -9 of the PDP, of its OPA and of both, round after round under load. Exit status 1 on a violation.

After each round: every answer that a client got is on record as it was given, `pdp log verify` finds the log whole, no
approval let two calls run, and calls are allowed again. The seed that is printed gives the same kills again.
"""

import argparse
import asyncio
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.load import CHECKOUT
from tests.contracts.stores import postgres, postgres_programs

from .cast import dice
from .rounds import Tally, Url, chaos, drawn

BUILD = CHECKOUT / "build" / "chaos"
SHOW_EVERY = 5  # rounds
SHOWN = 20  # violations that are printed in full


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=300, help="kills (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of an earlier run, to repeat it")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="default: %(default)s")
    return parser.parse_args()


def say(words: str) -> None:
    """Show progress, a line at a time, with or without a terminal."""
    print(f"chaos: {words}", file=sys.stderr, flush=True)


async def run(chosen: argparse.Namespace, folder: Path, url: Url, tally: Tally) -> None:
    """Carry out the rounds and say how they go."""
    began, rng = time.monotonic(), dice(chosen.seed)
    kinds = drawn(rng, chosen.rounds)
    async for number in chaos(folder, kinds, rng, url, tally):
        if number % SHOW_EVERY == 0 or number == chosen.rounds:
            took, back = time.monotonic() - began, tally.back[-1]
            what = f"{kinds[number - 1]} killed and allowing again after {back:.2f} s"
            say(f"{number}/{chosen.rounds}, {took:.0f} s, {what}")


@contextmanager
def a_store(kind: str) -> Iterator[Url]:
    """Yield what makes an empty store for a data directory and returns its URL."""
    if kind == "sqlite":
        yield lambda data_dir: f"sqlite+aiosqlite:///{data_dir / 'pdp.db'}"
        return
    programs = postgres_programs()
    if programs is None:
        sys.exit("chaos: FAILED: there is no local `postgres`: install one, or run with --store sqlite")
    with postgres(programs) as server:

        def database(data_dir: Path) -> str:
            name = data_dir.name.replace("-", "_")
            place = ["-h", server.rpartition("host=")[2], "-U", "pdp"]
            subprocess.run([programs / "createdb", *place, name], check=True, timeout=30)
            return server.replace("/postgres?", f"/{name}?")

        yield database


def summary(tally: Tally, chosen: argparse.Namespace) -> str:
    """Return the last line."""
    kills = ", ".join(f"{count} of {kind}" for kind, count in sorted(tally.kills.items()))
    found = f"{tally.counts['answers checked']:,} answers checked, {len(tally.violations)} violations"
    return f"{tally.kills.total()} rounds: kills {kills}; {found} (seed {chosen.seed})"


def main() -> None:
    """Kill, check, print, judge."""
    chosen = options()
    say(f"seed {chosen.seed}, on {chosen.store}")
    BUILD.mkdir(parents=True, exist_ok=True)
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
    with a_store(chosen.store) as url:
        asyncio.run(run(chosen, folder, url, tally))
    for violation in tally.violations[:SHOWN]:
        print(violation)
    back = sorted(tally.back)
    print(", ".join(f"{count:,} {what}" for what, count in sorted(tally.counts.items())))
    print(f"allowing again after p50 {back[len(back) // 2]:.2f} s, max {back[-1]:.2f} s")
    print(summary(tally, chosen))
    if tally.violations:
        sys.exit(f"chaos: FAILED; data directories and what the service said are kept in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
