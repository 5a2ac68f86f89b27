"""`python -m tests.bench`: measure, print tables, write `build/bench/results.json`, and the page if asked to.

Exit status 1 when an answer was not the allow that was due: then nothing is written.
"""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from pdp.errors import Fault

from . import chart, grounds, machine, report, rounds
from .load import CHECKOUT
from .rows import DEFAULT, KINDS, Row
from .scale import SIZES, Scale, scale
from .tally import WrongAnswer

FOLDER = CHECKOUT / "build" / "bench"
PAGE = CHECKOUT / "docs" / "performance.md"
LEGEND = f"""
Times as the load generator saw them; CPU for each decision; ratios to raw OPA on the same inputs in the same rounds.
Note: {machine.SHARED}. Compare rows of one run, not of two runs."""
SHOWN_AT = 16  # connections: the progress lines show only these
SIZE_SHARE = 0.6  # rounds of the sizes for each round of the rows: one of five rows less matters little there
DRAWN = ["engine_client", "decision_read", "decision_write", "decision_wasm", "adapter_decide", "adapter_call"]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure against raw OPA, in one run.")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each row in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over these (default: %(default)s)")
    parser.add_argument("--rows", nargs="*", choices=list(KINDS), default=DEFAULT, metavar="ROW")
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="of stores; none: leave that out")
    parser.add_argument("--write-docs", action="store_true", help=f"write the figures into {PAGE.name}")
    return parser.parse_args()


async def bench(chosen: argparse.Namespace, folder: Path) -> report.Results:
    """Carry out the run. Raises `WrongAnswer`, and `Fault` when a part cannot be started."""
    described = machine.describe(folder)
    meter = machine.Meter()
    rows: list[Row] = []
    sizes: Scale | None = None
    if chosen.rows:
        rows, about = await measured_rows(chosen, folder)
        described |= about
    if chosen.sizes:
        sizes = await measured_sizes(chosen, folder)
    described |= {
        "rounds": f"{chosen.rounds} x {chosen.seconds:g} s a row",
        "others_share": round(meter.others(), 2),
        "load_after": machine.load(),
    }
    if machine.uncommitted(CHECKOUT):
        described["uncommitted"] = "there were changes on top of the revision"
    return report.Results(described, machine.revision(CHECKOUT), rows, sizes)


async def measured_rows(chosen: argparse.Namespace, folder: Path) -> tuple[list[Row], dict[str, object]]:
    """Return the rows, and what they depend on besides the machine."""
    say("starting the service on each engine, and an OPA beside them")
    async with grounds.opened(folder, chosen.rows) as opened:
        began = time.monotonic()
        async for number, samples in rounds.measure(opened.courses, chosen.rounds, chosen.seconds):
            figures = "  ".join(f"{name} {runs[-1].rps:,.0f}" for (name, n), runs in samples.items() if n == SHOWN_AT)
            say(f"round {number}/{chosen.rounds}, {time.monotonic() - began:.0f} s, req/s at {SHOWN_AT}: {figures}")
        return rounds.medians(samples), opened.about


async def measured_sizes(chosen: argparse.Namespace, folder: Path) -> Scale:
    """Return what the size of the store does."""
    say(f"bringing in {', '.join(f'{size:,}' for size in chosen.sizes)} people and as many tools")
    times = max(1, round(SIZE_SHARE * chosen.rounds))
    return await scale(folder, sorted(chosen.sizes), times, chosen.seconds, say)


def say(text: str) -> None:
    """Show progress, a line at a time, with or without a terminal."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def show(results: report.Results) -> None:
    """Print the tables."""
    if results.rows:
        print(report.text_table(report.HEADINGS, report.rows_table(results.rows)))
        print(LEGEND)
        print("\n" + report.text_table(report.PROMISED_HEADINGS, report.promised_table(results.rows)))
    if results.scale:
        print("\n" + report.text_table(report.SIZE_HEADINGS, report.size_table(results.scale)))
        print(report.flat(results.scale))
    print("\n" + report.provenance(results, "make bench"))


def write_page(results: report.Results) -> None:
    """Write the figures of a whole run into the page, and its charts beside it."""
    PAGE.write_text(report.document(PAGE.read_text(), "bench", report.bench_block(results)))
    drawn = chart.svg("Decisions against raw OPA, in one run", DRAWN, results.rows)
    (PAGE.parent / "images" / "bench.svg").write_text(drawn)
    if results.scale:
        names = [f"store_{size.imported.people}" for size in results.scale.sizes]
        drawn = chart.svg("Read decisions by the size of the store", names, results.scale.rows, store_label)
        (PAGE.parent / "images" / "bench-size.svg").write_text(drawn)


def store_label(name: str) -> str:
    """Return how a store is called in a chart."""
    return f"{int(name.partition('_')[2]):,} people, tools"


def main() -> None:
    """Run the bench."""
    chosen = options()
    if chosen.write_docs and not (chosen.rows and chosen.sizes):
        sys.exit("bench: the page shows a whole run: leave --rows and --sizes as they are with --write-docs")
    logging.basicConfig(level="ERROR")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us ends what we started
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=FOLDER) as folder:
        try:
            results = asyncio.run(bench(chosen, Path(folder)))
        except (WrongAnswer, Fault, RuntimeError, TimeoutError) as error:
            sys.exit(f"bench: FAILED, nothing was written: {error}")
    show(results)
    file = FOLDER / "results.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    if chosen.write_docs:
        write_page(results)
    say(f"wrote {file.relative_to(CHECKOUT)}" + (f" and {PAGE.name}" if chosen.write_docs else ""))


if __name__ == "__main__":
    main()
