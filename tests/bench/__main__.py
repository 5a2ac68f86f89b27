"""`python -m tests.bench`: measure, print the table, write `build/bench/results.json`, and the page if asked to.

Exit status 1 when an answer was not the allow that was due: then nothing is written.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from pdp.errors import Fault

from . import machine, report, rounds
from .tally import WrongAnswer

RESULTS = rounds.CHECKOUT / "build" / "bench" / "results.json"
PAGE = rounds.CHECKOUT / "docs" / "performance.md"
LEGEND = f"""
Times as the load generator saw them; CPU for each decision. Ratios: to raw OPA on the same inputs at as many
connections; CPU /raw counts PDP and OPA. Note: {machine.SHARED}. Compare rows of one run, not of two runs."""
SHOWN_AT = 16  # connections: the progress lines show only these


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure against raw OPA, in one run.")
    parser.add_argument("--seconds", type=float, default=1.2, help="of each row in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over these (default: %(default)s)")
    parser.add_argument("--rows", nargs="+", choices=rounds.ALL_ROWS, default=rounds.DEFAULT_ROWS, metavar="ROW")
    parser.add_argument("--write-docs", action="store_true", help=f"write the table into {PAGE.name}")
    return parser.parse_args()


async def bench(chosen: argparse.Namespace, folder: Path) -> report.Results:
    """Carry out the run. Raises `WrongAnswer`, and `Fault` when a part cannot be started."""
    described = machine.describe(folder)
    say("starting the service on each engine, and an OPA beside them")
    async with rounds.opened(folder, chosen.rows) as grounds:
        began = time.monotonic()
        async for number, samples in rounds.measure(grounds, chosen.rounds, chosen.seconds):
            figures = "  ".join(_figure(name, runs[-1]) for (name, n), runs in samples.items() if n == SHOWN_AT)
            say(f"round {number}/{chosen.rounds}, {time.monotonic() - began:.0f} s, req/s at {SHOWN_AT}: {figures}")
        described |= {
            "opa": grounds.opa_version,
            "policy": grounds.policy,
            "policy_input_bytes": grounds.input_bytes,
            "request_bytes": grounds.body_bytes,
            "rounds": f"{chosen.rounds} x {chosen.seconds:g} s a row",
        }
        commit = machine.revision(rounds.CHECKOUT)
        if machine.uncommitted(rounds.CHECKOUT):
            described["uncommitted"] = "there were changes on top of the revision"
        return report.Results(described, commit, rounds.medians(samples))


def say(text: str) -> None:
    """Show progress, a line at a time, with or without a terminal."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def _figure(name: str, sample: rounds.Sample) -> str:
    return f"{name} {sample.measured.rps:,.0f}"


def main() -> None:
    """Run the bench."""
    chosen = options()
    logging.basicConfig(level="ERROR")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=RESULTS.parent) as folder:
        try:
            results = asyncio.run(bench(chosen, Path(folder)))
        except (WrongAnswer, Fault, RuntimeError, TimeoutError) as error:
            sys.exit(f"bench: FAILED, nothing was written: {error}")
    print(report.text_table(results.rows))
    print(LEGEND)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    if chosen.write_docs:
        PAGE.write_text(report.document(PAGE.read_text(), results))
    say(f"wrote {RESULTS.relative_to(rounds.CHECKOUT)}" + (f" and {PAGE.name}" if chosen.write_docs else ""))


if __name__ == "__main__":
    main()
