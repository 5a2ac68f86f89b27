"""`python -m tests.bench.profile`: where a decision's CPU time goes, by thread, step and function; and folded stacks.

Prints the table and writes it to `build/bench/profile.txt`; the stacks go to `build/bench/profile.folded`, which
`flamegraph.pl` and speedscope draw. Start here before you make anything faster.
"""

import argparse
import asyncio
import logging
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from . import cpu, people, stage
from .job import Order, Target
from .load import CHECKOUT, Load
from .rows import HTTP

FOLDER = CHECKOUT / "build" / "bench"
FIRST_FUNCTIONS = 40  # lines of the last table
WARM_UP_S = 1.0
LEAST_US = 1.0  # a thread that uses less is not shown
STEPS = {
    "identify.identify": "identify",
    "enrich.enrich": "enrich",
    "vet.vet": "vet",
    "opa.OpaClient.evaluate": "ask OPA: out",
    "wire.Connection.data_received": "ask OPA: in",
    "wasm.WasmEngine.evaluate": "ask wasm",
    "decide.input_for": "decide: input",
    "decide.read_reply": "decide: reply",
    "decide.judged": "decide: rest",
    "record.decision_record": "record: put together",
    "record.without_credentials": "record: encode",
    "log.Log.append": "record: chain",
    "log.Log._answered": "record: acknowledge",
    "decisions.Desk.told": "answer: encode, count",
    "decisions.Desk.read": "query: read",
    "query.query_from": "query: read",
    "decisions.Desk.admit": "query: admit",
    "http.send_json": "answer: send",
    "flow.answer": "flow: rest",
    "decisions.decide_route": "route: rest",
    "listener.Bounded.data_received": "HTTP in",
    "projection.Projection._step": "projection",
    "projection.read_rows": "projection",
    "sql.": "store",
}
"""Which step a frame belongs to; of a stack, the innermost such frame counts."""


def step_of(stack: str) -> str:
    """Return the step a folded stack belongs to."""
    for frame in reversed(stack.split(";")):
        if frame in STEPS:
            return STEPS[frame]
    return "event loop, everything else"


def table(stacks: Counter[str], each_us: float, threads: Iterable[tuple[str, float]]) -> str:
    """Return the report. `each_us`: microseconds of the event loop a decision; `threads`: by name, of all threads."""
    total = sum(stacks.values()) or 1
    steps: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack, spent in stacks.items():
        steps[step_of(stack)] += spent
        functions[stack.rpartition(";")[2]] += spent
    lines = ["CPU us a decision, by thread:"]
    lines += [f"{spent:8.1f}  {name}" for name, spent in threads]
    for title, found in (("of the event loop, by step", steps), ("of the event loop, by function (own)", functions)):
        lines += ["", f"CPU us a decision {title}:"]
        lines += [f"{each_us * spent / total:8.1f}  {name}" for name, spent in found.most_common(FIRST_FUNCTIONS)]
    return "\n".join(lines)


async def profile(folder: Path, chosen: argparse.Namespace) -> str:
    """Serve, make load, and return the report."""
    home, samples = await stage.furnish(folder / "pdp"), FOLDER / "profile.folded"
    more = {"PDP_SAMPLES": str(samples), "PDP_ENGINE": chosen.engine}
    async with stage.serving(home, CHECKOUT, "tests.bench.sampler", **more) as (pid, port):
        bodies = people.queries(home.idp, people.WRITE if chosen.write else people.READ)
        job = folder / "job.json"
        job.write_bytes(msgspec.json.encode({"decision": Target("pdp", home.requests(bodies), port=port)}))
        load = await Load.start(HTTP, job)
        try:
            await load.run(Order("decision", chosen.connections, WARM_UP_S))
            await cpu.quiet([pid])
            os.kill(pid, signal.SIGUSR2)
            before = cpu.threads_us(pid)
            measured = await load.run(Order("decision", chosen.connections, chosen.seconds))
            await cpu.quiet([pid])
            after = cpu.threads_us(pid)
        finally:
            await load.close()
    spent = {thread: (after[thread] - before.get(thread, 0.0)) / measured.asked for thread in after}
    names = {**read_threads(samples.with_suffix(".threads")), pid: "event loop"}
    used = [(names.get(thread, f"thread {thread}"), us) for thread, us in spent.items() if us >= LEAST_US]
    threads = [("all together", sum(spent.values())), *sorted(used, key=lambda item: -item[1])]
    head = f"{measured.asked} decisions over {chosen.connections} connections"
    head += f", {measured.rps:,.0f}/s, p50 {measured.p50_us:,.0f} us"
    return head + "\n\n" + table(read_stacks(samples), spent[pid], threads)


def read_stacks(path: Path) -> Counter[str]:
    """Read folded stacks."""
    lines = (line.rpartition(" ") for line in path.read_text().splitlines())
    return Counter({stack: int(spent) for stack, _, spent in lines})


def read_threads(path: Path) -> dict[int, str]:
    """Read the names of threads by their numbers."""
    lines = (line.partition(" ") for line in path.read_text().splitlines())
    return {int(number): name for number, _, name in lines}


def main() -> None:
    """Profile and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--engine", choices=["opa", "wasm"], default="opa")
    parser.add_argument("--write", action="store_true", help="a tool that writes, so durable records")
    chosen = parser.parse_args()
    logging.basicConfig(level="ERROR")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=FOLDER) as folder:
        report = asyncio.run(profile(Path(folder), chosen))
    (FOLDER / "profile.txt").write_text(report + "\n")
    print(report)


if __name__ == "__main__":
    main()
