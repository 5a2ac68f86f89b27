"""The grounds: both services, the OPA beside them and the load processes, each request tried before the first round."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from pdp.adapters.definitions import Digests
from pdp.adapters.enforce import Call
from pdp.answer import Answer
from pdp.engine import VERDICT, VISIBLE
from pdp.engine.opa import request_for
from pdp.policy.pack import Pack

from . import cpu, people
from .crowd import bring_in_catalog
from .job import Target
from .load import CHECKOUT, Load
from .rounds import Course
from .rows import BATCH, KINDS, LIST, Kind, Process
from .stage import Home, furnish, policy_inputs, raw_opa, records, serving
from .tally import WrongAnswer

CATALOG = [people.plain_tool(f"look_up_{number:03d}") for number in range(LIST)]


@dataclass(frozen=True)
class Grounds:
    """Everything that runs, ready to be measured. `about`: what the figures depend on besides the machine.

    `services` are our own by row name, with their ports.
    """

    courses: list[Course]
    about: dict[str, object]
    services: dict[str, tuple[Home, int]]


@asynccontextmanager
async def opened(folder: Path, names: list[str]) -> AsyncIterator[Grounds]:
    """Start everything and check that each request is allowed."""
    async with AsyncExitStack() as stack:
        home, wasm = await furnish(folder / "pdp"), await furnish(folder / "wasm")
        await bring_in_catalog(home.data_dir, CATALOG)
        engine, pack, found = await stack.enter_async_context(raw_opa(folder))
        pid, port = await stack.enter_async_context(serving(home, CHECKOUT))
        wasm_pid, wasm_port = await stack.enter_async_context(serving(wasm, CHECKOUT, PDP_ENGINE="wasm"))
        targets = await _targets(folder, home, port, str(engine.socket), pack)
        targets["decision_wasm"] = await _wasm_target(wasm, wasm_port, pack.revision)
        assert engine.pid is not None
        (own_opa,) = cpu.children(pid)
        pids: dict[Process, int] = {"raw": engine.pid, "pdp": pid, "pdp_opa": own_opa, "wasm": wasm_pid}
        kinds = {name: KINDS[name] for name in names}
        courses = await courses_of(kinds, targets, pids, folder / "job.json", stack)
        services = {"decision_write": (home, port), "decision_wasm": (wasm, wasm_port)}
        yield Grounds(courses, about(found.version, pack, targets) | {"idle_cpu": await _idle(pids)}, services)


async def courses_of(
    kinds: dict[str, Kind], targets: dict[str, Target], pids: dict[Process, int], job: Path, stack: AsyncExitStack
) -> list[Course]:
    """Start the load processes that these rows need and return the rows as courses."""
    await asyncio.to_thread(job.write_bytes, msgspec.json.encode(targets))
    loads = {}
    for module in sorted({kind.load for kind in kinds.values()}):
        loads[module] = await Load.start(module, job)
        stack.push_async_callback(loads[module].close)
    return [
        Course(name, kind, loads[kind.load], *(pids[process] if process else None for process in (kind.pdp, kind.opa)))
        for name, kind in kinds.items()
    ]


def about(opa: str, pack: Pack, targets: dict[str, Target]) -> dict[str, object]:
    """Return what the figures depend on besides the machine."""
    return {
        "opa": opa,
        "policy": pack.revision,
        "policy_input_bytes": len(targets["engine_client"].requests[0]),
        "request_bytes": len(targets["decision_read"].requests[0]),
    }


async def _idle(pids: dict[Process, int]) -> str:
    used = await cpu.idle_us(pids.values())
    said = {"pdp": "the PDP", "pdp_opa": "its OPA", "wasm": "the PDP with wasm"}
    return ", ".join(f"{text} {used[pids[name]] / 1000:.0f} ms/s" for name, text in said.items() if name in pids)


async def _targets(folder: Path, home: Home, port: int, socket: str, pack: Pack) -> dict[str, Target]:
    reads, writes = (people.asked(home.idp, definition) for definition in (people.READ, people.WRITE))
    read, write = people.encoded(reads), people.encoded(writes)
    decided = await decide_all(port, home.key, read, pack.revision)
    written = await decide_all(port, home.key, write, pack.revision)
    inputs, write_inputs = policy_inputs(home.data_dir, decided), policy_inputs(home.data_dir, written)
    lines = records(home.data_dir, decided)
    return {
        "raw_opa": Target("opa", [request_for(VERDICT, one) for one in inputs], socket=socket),
        "raw_opa_write": Target("opa", [request_for(VERDICT, one) for one in write_inputs], socket=socket),
        "engine_client": Target("opa", inputs, socket=socket, revision=pack.revision),
        "engine_client_write": Target("opa", write_inputs, socket=socket, revision=pack.revision),
        "wasm_engine": Target("nothing", inputs, revision=pack.revision, bundle=str(pack.bundle)),
        "decision_read": Target("pdp", home.requests(read), port=port),
        "decision_write": Target("pdp", home.requests(write), port=port),
        "batch_50": Target("batch", home.requests(_batches(read), "/v1/decisions/batch"), port=port),
        "adapter_decide": Target("client", _calls(reads), port=port, key=home.key),
        "adapter_call": Target("enforcer", _calls(reads), port=port, key=home.key),
        "log_write": Target("nothing", lines, folder=str(folder)),
        "log_durable": Target("durable", lines, folder=str(folder)),
        **await _lists(home, port, socket, pack.revision),
    }


async def _lists(home: Home, port: int, socket: str, revision: str) -> dict[str, Target]:
    """Return both rows of the list. What the PDP asks for it is put together from a decision a tool, as bare."""
    held = people.tokens(home.idp)
    decided = await decide_all(port, home.key, [people.bare(held[0], tool) for tool in CATALOG], revision, times=1)
    calls = b'{"calls":[%b]}' % b",".join(policy_inputs(home.data_dir, decided))
    bodies = [people.listing(one, CATALOG) for one in held]
    return {
        "raw_opa_visible": Target("opa_list", [request_for(VISIBLE, calls)], socket=socket),
        "visible_200": Target("list", home.requests(bodies, "/v1/tools/visible"), port=port),
    }


def _batches(bodies: list[bytes]) -> list[bytes]:
    """Return bodies of batches; each begins elsewhere in the round of questions."""
    turned = (bodies[start:] + bodies[:start] for start in range(len(bodies)))
    return [b'{"decisions":[%b]}' % b",".join((turn * BATCH)[:BATCH]) for turn in turned]


def _calls(questions: list[dict[str, object]]) -> list[bytes]:
    """Return these questions as a server's middleware sees them arrive."""
    listed = Digests().read([people.READ, people.WRITE])
    calls = []
    for question in questions:
        named = msgspec.convert(question, _Question)
        definition = listed.by_name[people.READ["name"]]
        token = named.caller["access_token"]
        call = Call(definition.name, named.arguments, token, definition, listed.toolset_digest, named.context)
        calls.append(msgspec.json.encode(call))
    return calls


class _Question(msgspec.Struct):
    caller: dict[str, str]
    arguments: dict[str, object]
    context: dict[str, object]


async def _wasm_target(home: Home, port: int, revision: str) -> Target:
    bodies = people.queries(home.idp, people.READ)
    await decide_all(port, home.key, bodies, revision)
    return Target("pdp", home.requests(bodies), port=port)


async def decide_all(port: int, key: str, bodies: list[bytes], revision: str, times: int = 2) -> list[str]:
    """Ask for every decision, by default until none is a first use any more; returns the ids of the last ones."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        for _ in range(times):
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
