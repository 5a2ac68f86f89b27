"""`python -m tests.bench`: measure, print tables, write `build/bench/results.json`, and the page if asked to.

Exit status 1 when an answer was not the allow that was due: then nothing is written.
"""

import argparse
import sys
import time
from pathlib import Path

from . import chart, grounds, machine, report, rounds
from .command import PAGE, Command, described, parser
from .load import CHECKOUT
from .rows import DEFAULT, KINDS, Row
from .scale import SIZES, Scale, scale

COMMAND = Command("bench", "results.json")
LEGEND = f"""
Times as the load generator saw them; CPU for each decision; ratios to raw OPA on the same inputs in the same rounds.
Note: {machine.SHARED}. Compare rows of one run, not of two runs."""
SHOWN_AT = 16  # connections: the progress lines show only these
SIZE_SHARE = 0.6  # rounds of the sizes for each round of the rows: one of five rows less matters little there
DRAWN = ["engine_client", "decision_read", "decision_write", "decision_wasm", "adapter_decide", "adapter_call"]


def options() -> argparse.Namespace:
    """Read the command line."""
    line = parser("tests.bench", "Measure against raw OPA, in one run.")
    line.add_argument("--rows", nargs="*", choices=list(KINDS), default=DEFAULT, metavar="ROW")
    line.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="of stores; none: leave that out")
    return line.parse_args()


async def bench(chosen: argparse.Namespace, folder: Path) -> report.Results:
    """Carry out the run. Raises `WrongAnswer`, and `Fault` when a part cannot be started."""
    rows: list[Row] = []
    sizes: Scale | None = None
    with described(chosen, folder) as about:
        if chosen.rows:
            rows, more = await measured_rows(chosen, folder)
            about.update(more)
        if chosen.sizes:
            sizes = await measured_sizes(chosen, folder)
    return report.Results(about, machine.revision(CHECKOUT), rows, sizes)


async def measured_rows(chosen: argparse.Namespace, folder: Path) -> tuple[list[Row], dict[str, object]]:
    """Return the rows, and what they depend on besides the machine."""
    COMMAND.say("starting the service on each engine, and an OPA beside them")
    async with grounds.opened(folder, chosen.rows) as opened:
        began = time.monotonic()
        async for number, samples in rounds.measure(opened.courses, chosen.rounds, chosen.seconds):
            figures = "  ".join(f"{name} {runs[-1].rps:,.0f}" for (name, n), runs in samples.items() if n == SHOWN_AT)
            passed_s = time.monotonic() - began
            COMMAND.say(f"round {number}/{chosen.rounds}, {passed_s:.0f} s, req/s at {SHOWN_AT}: {figures}")
        return rounds.medians(samples), opened.about


async def measured_sizes(chosen: argparse.Namespace, folder: Path) -> Scale:
    """Return what the size of the store does."""
    COMMAND.say(f"bringing in {', '.join(f'{size:,}' for size in chosen.sizes)} people and as many tools")
    times = max(1, round(SIZE_SHARE * chosen.rounds))
    return await scale(folder, sorted(chosen.sizes), times, chosen.seconds, COMMAND.say)


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
    results = COMMAND.carried_out(bench, chosen)
    show(results)
    COMMAND.keep(results, write_page if chosen.write_docs else None)


if __name__ == "__main__":
    main()
