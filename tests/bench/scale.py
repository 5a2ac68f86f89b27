"""Does the size matter? One service for each size of store, with as many people as tools, all asked in turn.

The same eight people ask each of them the same; raw OPA is asked in the same rounds. Then members of each crowd call
for the first time: their facts come out of the store.
"""

import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from msgspec import Struct

from pdp.engine import VERDICT
from pdp.engine.opa import request_for

from . import cpu, people
from .crowd import Imported, bring_in, newcomers
from .grounds import courses_of, decide_all
from .job import Target
from .load import CHECKOUT
from .rounds import Course, measure, medians
from .rows import FEW, Kind, Row
from .stage import Home, furnish, policy_inputs, raw_opa, serving
from .tally import WrongAnswer

SIZES = [1, 100, 10_000, 100_000]  # people, and as many tools
FLAT = 1.2  # times the cost of a decision in the smallest store (issue 4)

Say = Callable[[str], None]


class Size(Struct, frozen=True):
    """What one size of store costs: bringing it in, starting on it, memory, and a person's first call."""

    imported: Imported
    starts_s: float
    memory_mib: float
    first_call_us: float


class Scale(Struct, frozen=True):
    """Sizes with their rows, `store_<people>`, and `raw_opa` from the same rounds."""

    sizes: list[Size]
    rows: list[Row]


async def scale(folder: Path, sizes: list[int], rounds: int, seconds: float, say: Say) -> Scale:
    """Measure. Raises `WrongAnswer`, and `RuntimeError` when a service does not start."""
    homes = {}
    brought = {}
    for size in sizes:
        homes[size] = await furnish(folder / f"store-{size}")
        brought[size] = await bring_in(homes[size].data_dir, size)
        say(f"{size:,} people and tools came in within {brought[size].seconds + brought[size].tools_s:.1f} s")
    async with AsyncExitStack() as stack:
        served, started = {}, {}
        for size, home in homes.items():
            began = time.monotonic()
            served[size] = await stack.enter_async_context(serving(home, CHECKOUT))
            started[size] = time.monotonic() - began
        courses = [course async for course in _courses(folder, homes, served, stack)]
        async for number, samples in measure(courses, rounds, seconds):
            told = "  ".join(f"{name} {runs[-1].measured.p50_us:,.0f}" for (name, n), runs in samples.items() if n == 1)
            say(f"size, round {number}/{rounds}, p50 us at 1: {told}")
        first = await _first_calls(homes, served)
        memory = {size: memory_mib(pid) for size, (pid, _) in served.items()}
    found = [Size(brought[size], round(started[size], 2), memory[size], first[size]) for size in sizes]
    return Scale(found, medians(samples))


async def _courses(
    folder: Path, homes: dict[int, Home], served: dict[int, tuple[int, int]], stack: AsyncExitStack
) -> AsyncIterator[Course]:
    engine, pack, _ = await stack.enter_async_context(raw_opa(folder))
    assert engine.pid is not None
    pids = {"raw": engine.pid}
    kinds, targets = {"raw_opa": Kind("", FEW, opa="raw")}, {}
    for size, home in homes.items():
        pid, port = served[size]
        bodies = people.queries(home.idp, people.READ)
        decided = await decide_all(port, home.key, bodies, pack.revision)
        inputs = policy_inputs(home.data_dir, decided)
        name = f"store_{size}"
        targets[name] = Target("pdp", home.requests(bodies), port=port)
        targets["raw_opa"] = Target("opa", [request_for(VERDICT, one) for one in inputs], socket=str(engine.socket))
        pids |= {name: pid, f"{name}_opa": cpu.children(pid)[0]}
        kinds[name] = Kind("", FEW, pdp=name, opa=f"{name}_opa")
    for course in await courses_of(kinds, targets, pids, folder / "scale.json", stack):
        yield course


async def _first_calls(homes: dict[int, Home], served: dict[int, tuple[int, int]]) -> dict[int, float]:
    """Return p50 of the first calls of people whom nobody asked about before, in microseconds; all stores in turn."""
    took: dict[int, list[float]] = {size: [] for size in homes}
    async with httpx.AsyncClient(trust_env=False) as client:
        for number, person in enumerate(newcomers(max(homes))):
            for size, home in homes.items():
                if number < size:
                    body = people.encoded([_first_question(home, person)])[0]
                    took[size].append(await _ask(client, served[size][1], home.key, body))
    return {size: round(statistics.median(each) * 1e6, 1) for size, each in took.items()}


def _first_question(home: Home, person: str) -> dict[str, object]:
    return people.query(people.token(home.idp, person, people.AGENTS[0]), people.READ, "o-1")


async def _ask(client: httpx.AsyncClient, port: int, key: str, body: bytes) -> float:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    began = time.perf_counter()
    response = await client.post(f"http://127.0.0.1:{port}/v1/decisions", content=body, headers=headers)
    took = time.perf_counter() - began
    if response.status_code != httpx.codes.OK or response.json()["decision"] != "allow":
        raise WrongAnswer(f"first call: {response.status_code} {response.text[:500]}")
    return took


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)
