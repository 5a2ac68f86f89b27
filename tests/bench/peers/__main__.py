"""`python -m tests.bench.peers`: other decision points beside ours and raw OPA, all in one run.

Each is first asked a question that must be allowed and six that must be denied, and again at the end. Exit status 1
when an answer is wrong: then nothing is written. A peer that does not install is left out, and that is said.
"""

import argparse
import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec

from .. import chart, grounds, machine, report, rounds
from ..command import PAGE, Command, described, parser
from ..load import CHECKOUT
from ..rounds import Course
from ..rows import FEW, PEERS
from ..stage import Home
from . import install
from .serve import Peer, cerbos_served, eunomia_served, ours

COMMAND = Command("peers", "peers.json")
OURS = ["raw_opa", "raw_opa_write", "decision_read", "decision_write", "decision_wasm"]
Served = Callable[[], AbstractAsyncContextManager[Peer]]


def installed() -> tuple[dict[str, Path], dict[str, str]]:
    """Install the peers; returns their programs, and why some are left out."""
    programs, left_out = {}, {}
    for name, get in (("cerbos", install.cerbos), ("eunomia", install.eunomia)):
        COMMAND.say(f"installing {name} into {install.FOLDER.relative_to(CHECKOUT)}, unless it is there")
        try:
            programs[name] = get()
        except install.NotInstalled as error:
            left_out[name] = str(error)
            COMMAND.say(f"{name} is left out: {error}")
    return programs, left_out


async def compare(chosen: argparse.Namespace, folder: Path) -> report.Results:
    """Carry out the run. Raises `WrongAnswer`, and `Fault` when a part cannot be started."""
    programs, left_out = await asyncio.to_thread(installed)
    async with AsyncExitStack() as stack:
        about = stack.enter_context(described(chosen, folder))
        COMMAND.say("starting everybody")
        opened = await stack.enter_async_context(grounds.opened(folder, OURS))
        home, _ = opened.services["decision_write"]
        peers = [await stack.enter_async_context(serve) for serve in _served(programs, folder, home)]
        asked = [*peers, *(ours(name, home, port) for name, (home, port) in opened.services.items())]
        await _must_judge_rightly(asked)
        courses = [replace(c, kind=msgspec.structs.replace(c.kind, connections=FEW)) for c in opened.courses]
        courses += await _courses(peers, folder, stack)
        async for number, samples in rounds.measure(courses, chosen.rounds, chosen.seconds):
            told = "  ".join(f"{name} {runs[-1].rps:,.0f}" for (name, n), runs in samples.items() if n == max(FEW))
            COMMAND.say(f"round {number}/{chosen.rounds}, req/s at {max(FEW)}: {told}")
        await _must_judge_rightly(asked)
        about |= opened.about
        about |= {f"left out: {name}": why for name, why in left_out.items()}
    return report.Results(about, machine.revision(CHECKOUT), rounds.medians(samples))


def _served(programs: dict[str, Path], folder: Path, home: Home) -> list[AbstractAsyncContextManager[Peer]]:
    found: list[AbstractAsyncContextManager[Peer]] = []
    if "cerbos" in programs:
        found += [cerbos_served(programs["cerbos"], name, folder, home) for name in ("cerbos", "cerbos_token_log")]
    if "eunomia" in programs:
        found += [eunomia_served(programs["eunomia"], name, folder) for name in ("eunomia", "eunomia_bare")]
    return found


async def _courses(peers: list[Peer], folder: Path, stack: AsyncExitStack) -> list[Course]:
    if not peers:
        return []
    pids = {peer.name: peer.pid for peer in peers if peer.pid is not None}
    targets = {peer.name: peer.target() for peer in peers}
    kinds = {peer.name: PEERS[peer.name] for peer in peers}
    return await grounds.courses_of(kinds, targets, pids, folder / "peers.json", stack)


async def _must_judge_rightly(asked: list[Peer]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for peer in asked:
            await peer.must_judge_rightly(client)
            COMMAND.say(f"{peer.name} allows and denies rightly")


def write_page(results: report.Results) -> None:
    """Write the figures into the page, and the chart beside it."""
    parts = [
        report.provenance(results, "make bench-peers"),
        report.markdown(report.HEADINGS, report.rows_table(results.rows)),
        report.meanings(results.rows),
        "![each as a multiple of raw OPA](images/bench-peers.svg)",
    ]
    PAGE.write_text(report.document(PAGE.read_text(), "peers", "\n\n".join(parts)))
    names = list(dict.fromkeys(row.name for row in results.rows if not row.name.startswith("raw_opa")))
    drawn = chart.svg("The same question to other decision points, in one run", names, results.rows)
    (PAGE.parent / "images" / "bench-peers.svg").write_text(drawn)


def main() -> None:
    """Run the comparison."""
    chosen = parser("tests.bench.peers", "Ask other decision points the same question, in one run.").parse_args()
    results = COMMAND.carried_out(compare, chosen)
    print(report.text_table(report.HEADINGS, report.rows_table(results.rows)))
    print("\n" + report.provenance(results, "make bench-peers"))
    COMMAND.keep(results, write_page if chosen.write_docs else None)


if __name__ == "__main__":
    main()
