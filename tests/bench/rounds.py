"""The rows, and the rounds in which they are measured one after the other, again and again: they share the weather.

A quiet machine is not needed, only one that is as noisy to every row: figures are medians over rounds, and rows of one
run may be compared with each other, not with those of another.
"""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import msgspec
from msgspec import Struct

from pdp.answer import Answer
from pdp.engine import VERDICT
from pdp.engine.opa import request_for
from pdp.policy.pack import Pack

from . import cpu, people
from .job import Done, Failed, Order, Target
from .stage import Home, furnish, policy_inputs, raw_opa, serving
from .tally import Measured, WrongAnswer

CHECKOUT = Path(__file__).parents[2]
CONNECTIONS = (1, 16, 64)
GENERATOR, ENGINE_CLIENT = "tests.bench.http_load", "tests.bench.engine_load"
ENGINES = ("engine_client", "wasm_engine")  # rows whose load process is the engine's own
LONGEST_LINE = 64 * 1024


class Sample(Struct, frozen=True):
    """One run of one row: what the load measured, and the CPU of PDP and OPA for each decision."""

    measured: Measured
    pdp_cpu_us: float
    opa_cpu_us: float


class Row(Struct, frozen=True):
    """Medians over the rounds (contracts, section 8). `pdp_cpu_us`: of the PDP; of an engine alone, its own."""

    name: str
    connections: int
    p50_us: float
    p99_us: float
    rps: float
    pdp_cpu_us: float
    opa_cpu_us: float


class Load:
    """A process that makes load: it takes an order, runs it, and says what it measured."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, job: Path) -> Self:
        """Start the load process `module` with its job file."""
        command = [sys.executable, "-m", module, str(job)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, limit=LONGEST_LINE
        )
        return cls(process)

    async def run(self, order: Order) -> Measured:
        """Carry out one order. Raises `WrongAnswer` when an answer was not the one that is due."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise WrongAnswer(f"{order.target}: the load process ended; what it said stands above")
        answer = msgspec.json.decode(line, type=Done | Failed)
        if isinstance(answer, Failed):
            raise WrongAnswer(f"{order.target} at {order.connections} connections: {answer.why}")
        return answer.measured

    async def close(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@dataclass(frozen=True)
class Course:
    """One row on the course: who makes the load, on what, and whose CPU is read meanwhile."""

    name: str
    load: Load
    pdp_pid: int | None
    opa_pid: int | None

    async def run(self, connections: int, seconds: float) -> Sample:
        """Measure once, from rest to rest: CPU counts what the service still does after the last answer."""
        watched = [pid for pid in (self.pdp_pid, self.opa_pid) if pid is not None]
        await cpu.quiet(watched)
        before = {pid: cpu.spent_us(pid) for pid in watched}
        measured = await self.load.run(Order(self.name, connections, seconds))
        await cpu.quiet(watched)
        spent = {pid: (cpu.spent_us(pid) - before[pid]) / measured.asked for pid in watched}
        own = measured.own_cpu_us if self.name.startswith(ENGINES) else 0.0
        return Sample(measured, spent.get(self.pdp_pid or 0, own), spent.get(self.opa_pid or 0, 0.0))


@dataclass(frozen=True)
class Grounds:
    """Everything that runs, ready to be measured."""

    courses: list[Course]
    opa_version: str
    policy: str
    input_bytes: int
    body_bytes: int


@asynccontextmanager
async def opened(folder: Path, names: list[str]) -> AsyncIterator[Grounds]:
    """Start both services, the OPA beside them and the load processes; check that each request is allowed."""
    async with AsyncExitStack() as stack:
        home, wasm = await furnish(folder / "pdp"), await furnish(folder / "wasm")
        engine, pack, found = await stack.enter_async_context(raw_opa(folder))
        pid, port = await stack.enter_async_context(serving(home, CHECKOUT))
        wasm_pid, wasm_port = await stack.enter_async_context(serving(wasm, CHECKOUT, PDP_ENGINE="wasm"))
        targets = await _targets(home, port, str(engine.socket), pack)
        targets["decision_wasm"] = await _wasm_target(wasm, wasm_port, pack.revision)
        job = folder / "job.json"
        job.write_bytes(msgspec.json.encode(targets))
        loads = {}
        for module in (GENERATOR, ENGINE_CLIENT):
            loads[module] = await Load.start(module, job)
            stack.push_async_callback(loads[module].close)
        assert engine.pid is not None
        (own_opa,) = cpu.children(pid)
        pids: dict[str, tuple[int | None, int | None]] = {"wasm_engine": (None, None)}
        pids["decision_wasm"] = (wasm_pid, None)
        pids |= dict.fromkeys(("decision_read", "decision_write"), (pid, own_opa))
        courses = []
        for name in names:
            load = loads[ENGINE_CLIENT if name.startswith(ENGINES) else GENERATOR]
            courses.append(Course(name, load, *pids.get(name, (None, engine.pid))))
        sizes = [len(targets[name].requests[0]) for name in ("engine_client", "decision_read")]
        yield Grounds(courses, found.version, pack.revision, *sizes)


async def _targets(home: Home, port: int, socket: str, pack: Pack) -> dict[str, Target]:
    revision = pack.revision
    asked = {name: people.queries(home.idp, definition) for name, definition in KINDS.items()}
    decided = {name: await _decide_twice(port, home.key, bodies, revision) for name, bodies in asked.items()}
    inputs = {name: policy_inputs(home.data_dir, ids) for name, ids in decided.items()}
    raw = {name: [request_for(VERDICT, document) for document in documents] for name, documents in inputs.items()}
    return {
        "raw_opa": Target("opa", raw["read"], socket=socket),
        "raw_opa_write": Target("opa", raw["write"], socket=socket),
        "engine_client": Target("opa", inputs["read"], socket=socket, revision=revision),
        "engine_client_write": Target("opa", inputs["write"], socket=socket, revision=revision),
        "wasm_engine": Target("nothing", inputs["read"], revision=revision, bundle=str(pack.bundle)),
        "decision_read": Target("pdp", home.requests(asked["read"]), port=port),
        "decision_write": Target("pdp", home.requests(asked["write"]), port=port),
    }


async def _wasm_target(home: Home, port: int, revision: str) -> Target:
    bodies = people.queries(home.idp, people.READ)
    await _decide_twice(port, home.key, bodies, revision)
    return Target("pdp", home.requests(bodies), port=port)


KINDS = {"read": people.READ, "write": people.WRITE}
READ_ROWS = ["raw_opa", "engine_client", "wasm_engine", "decision_read", "decision_wasm"]
DEFAULT_ROWS = [*READ_ROWS, "raw_opa_write", "decision_write"]
ALL_ROWS = [*DEFAULT_ROWS, "engine_client_write"]


async def _decide_twice(port: int, key: str, bodies: list[bytes], revision: str) -> list[str]:
    """Ask for every decision until none is a first use any more; returns the ids of the last ones."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        for _ in range(2):
            given = [await _decide(client, body, revision) for body in bodies]
    return given


async def _decide(client: httpx.AsyncClient, body: bytes, revision: str) -> str:
    response = await client.post("/v1/decisions", content=body)
    if response.status_code != httpx.codes.OK:
        raise WrongAnswer(f"before the first round: {response.status_code} {response.text[:500]}")
    answer = msgspec.json.decode(response.content, type=Answer)
    if answer.decision != "allow" or answer.revisions.policy != revision:
        raise WrongAnswer(f"before the first round: {response.text[:500]}")
    return answer.id


Samples = dict[tuple[str, int], list[Sample]]


async def measure(grounds: Grounds, rounds: int, seconds: float) -> AsyncIterator[tuple[int, Samples]]:
    """Measure every row at every number of connections, round by round; every other round goes backwards."""
    samples: Samples = {(c.name, n): [] for n in CONNECTIONS for c in grounds.courses}
    for number in range(1, rounds + 1):
        for course, connections in _order(grounds.courses, backwards=number % 2 == 0):
            samples[course.name, connections].append(await course.run(connections, seconds))
        yield number, samples


def _order(courses: list[Course], *, backwards: bool) -> Iterator[tuple[Course, int]]:
    pairs = [(course, connections) for connections in CONNECTIONS for course in courses]
    yield from reversed(pairs) if backwards else pairs


def medians(samples: Samples) -> list[Row]:
    """Return the rows of the results."""
    rows = []
    for (name, connections), runs in samples.items():
        rows.append(
            Row(
                name,
                connections,
                p50_us=_median(run.measured.p50_us for run in runs),
                p99_us=_median(run.measured.p99_us for run in runs),
                rps=_median(run.measured.rps for run in runs),
                pdp_cpu_us=_median(run.pdp_cpu_us for run in runs),
                opa_cpu_us=_median(run.opa_cpu_us for run in runs),
            )
        )
    return rows


def _median(values: Iterator[float]) -> float:
    return round(statistics.median(values), 1)
