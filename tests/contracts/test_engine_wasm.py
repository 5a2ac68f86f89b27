"""What only the engine in process can do wrong: fill our memory, hold up our loop, remember, load anything."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from pdp.engine import VERDICT, wasm
from pdp.engine.abi import MEMORY_CAP, Aborted, Instance, Interrupted
from pdp.engine.compiled import load
from pdp.engine.wasm import WasmEngine
from pdp.errors import Fault, Refused
from pdp.policy.archive import MODULE, read_archive, write_archive
from tests.policy.engine import compile_rules

from .conftest import REVISION
from .engines import ask, now, refusal

pytestmark = pytest.mark.promise("engine.contract")
SLOW, HUNGRY, CONFLICT = (f"pdp/decision/{name}" for name in ("slow", "hungry", "conflict"))
COMPUTES_S = 0.5
ENDLESS = b'{"never": 0.5}'


@pytest.fixture
async def engine(echo_compiled: Path) -> AsyncIterator[WasmEngine]:
    """Return the engine on the echoing policy."""
    started = await WasmEngine.start(echo_compiled, REVISION)
    yield started
    await started.close()


@pytest.mark.promise("engine.bounded")
async def test_a_policy_that_wants_too_much_memory_is_refused_and_the_next_call_answered(engine: WasmEngine) -> None:
    with pytest.raises(Refused) as caught:
        await engine.evaluate(HUNGRY, ENDLESS, now() + 20)
    assert (caught.value.code, caught.value.note) == ("engine.garbled", "the policy gave up: opa_malloc: failed")
    assert await ask(engine, "next") == {"echo": "next"}


@pytest.mark.promise("engine.bounded")
async def test_an_input_larger_than_the_memory_is_refused(engine: WasmEngine) -> None:
    with pytest.raises(Refused) as caught:
        await engine.evaluate(VERDICT, b'"' + b"x" * MEMORY_CAP + b'"', now() + 20)
    assert caught.value.code == "engine.garbled"
    assert await ask(engine, "next") == {"echo": "next"}


@pytest.mark.promise("engine.bounded")
async def test_a_queue_for_the_threads_that_is_full_takes_no_more(engine: WasmEngine) -> None:
    for _ in range(2):  # from then on nothing runs on the loop's thread
        with pytest.raises(Refused):
            await engine.evaluate(SLOW, ENDLESS, now() + 0.02)
    asked = [asyncio.create_task(engine.evaluate(SLOW, ENDLESS, now() + 30)) for _ in range(wasm.MAX_WAITING)]
    await asyncio.sleep(0)
    assert (await refusal(engine)).code == "engine.unavailable"
    await engine.close()
    await asyncio.wait(asked)


@pytest.mark.promise("engine.deadline")
async def test_a_slow_policy_does_not_hold_up_the_loop(engine: WasmEngine) -> None:
    slow = [asyncio.create_task(engine.evaluate(SLOW, ENDLESS, now() + 4)) for _ in range(4)]
    longest, before, turns = 0.0, time.thread_time(), 0
    while not all(task.done() for task in slow):
        await asyncio.sleep(0.001)
        longest, before = max(longest, time.thread_time() - before), time.thread_time()
        turns += 1
    outcomes = await asyncio.gather(*slow, return_exceptions=True)
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Refused)} == {"engine.timeout"}
    assert longest < COMPUTES_S, "of its own CPU between two turns: 20 ms are usual"
    assert turns > 3, "others had the interpreter all the time: hundreds are usual"


async def test_whoever_asks_on_and_on_lets_others_have_their_turn(engine: WasmEngine) -> None:
    asking = asyncio.create_task(ask_on(engine, 100_000))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asking.done(), "it takes a second, and a turn of others comes every 5 ms"
    asking.cancel()
    await asyncio.wait({asking})


async def ask_on(engine: WasmEngine, times: int) -> None:
    """Ask so many times, one after the other."""
    for _ in range(times):
        await ask(engine)


async def test_what_was_asked_before_takes_no_memory_later(echo_compiled: Path) -> None:
    instance = Instance(load(echo_compiled))
    instance.arm(1 << 32)
    sizes = set()
    for number in range(20_000):
        document = json.dumps({"id": f"{number}" * (1 + number % 50)}).encode()
        assert instance.evaluate(0, document) == b'[{"result":{"echo":"%b"}}]' % json.loads(document)["id"].encode()
        sizes.add(instance.memory_size)
    assert len(sizes) == 1
    assert sizes.pop() < 1_000_000


async def test_a_large_input_is_answered_like_a_small_one(engine: WasmEngine) -> None:
    name = "x" * (2 * wasm.BRIEF_BYTES)
    names = [*("a", name, "b"), *(f"{number}{name}" for number in range(20))]
    assert await asyncio.gather(*(ask(engine, name) for name in names)) == [{"echo": name} for name in names]


@pytest.mark.promise("engine.own_answer")
async def test_an_instance_that_was_stopped_answers_no_more(echo_compiled: Path) -> None:
    program = load(echo_compiled)
    for entrypoint, stopped in ((SLOW, Interrupted), (CONFLICT, Aborted)):
        instance = Instance(program)
        instance.arm(1)
        if stopped is Interrupted:
            instance.interrupt()
        with pytest.raises(stopped):
            instance.evaluate(program.entrypoints[entrypoint], b'{"id": 1, "never": 0.5}')
        assert instance.spent
        with pytest.raises(Aborted):
            instance.evaluate(program.entrypoints[VERDICT], b'{"id": 1}')


@pytest.mark.promise("engine.recovers")
async def test_after_every_way_of_being_stopped_the_answers_are_right_again(engine: WasmEngine) -> None:
    for number in range(10):
        for entrypoint, within in ((SLOW, 0.05), (CONFLICT, 5), ("pdp/decision/large", 5)):
            with pytest.raises(Refused):
                await engine.evaluate(entrypoint, b'{"id": "x", "never": 0.5}', now() + within)
            assert await ask(engine, f"after-{number}") == {"echo": f"after-{number}"}


def rebuilt(bundle: Path, files: Mapping[str, bytes | None], target: Path) -> Path:
    """Write a copy of a bundle with other content for some of its files; None leaves one out."""
    content = {**read_archive(bundle), **files}
    target.write_bytes(write_archive({name: body for name, body in content.items() if body is not None}))
    return target


@pytest.mark.promise("engine.loads")
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({MODULE: None}, "holds no compiled rules"),
        ({MODULE: b""}, "cannot be loaded"),
        ({MODULE: b"\0asm\1\0\0\0"}, "not compiled by OPA"),
        ({MODULE: b"(module)"}, "not compiled by OPA"),
        ({MODULE: b"\x7fELF" + bytes(1000)}, "cannot be loaded"),
        ({"data.json": b"{"}, "its data is not JSON"),
    ],
    ids=["missing", "empty", "another module", "text", "another format", "data"],
)
async def test_what_is_no_compiled_policy_is_not_loaded(
    files: dict[str, bytes | None], says: str, echo_compiled: Path, tmp_path: Path
) -> None:
    with pytest.raises(Fault, match=says):
        await WasmEngine.start(rebuilt(echo_compiled, files, tmp_path / "b.tar.gz"), REVISION)


@pytest.mark.promise("engine.loads")
@pytest.mark.parametrize("share", [0.001, 0.1, 0.9, 0.9999])
async def test_a_module_that_was_cut_off_is_not_loaded(share: float, echo_compiled: Path, tmp_path: Path) -> None:
    whole = read_archive(echo_compiled)[MODULE]
    cut = whole[: int(share * len(whole))]
    with pytest.raises(Fault, match=r"not compiled by OPA|cannot be loaded"):
        await WasmEngine.start(rebuilt(echo_compiled, {MODULE: cut}, tmp_path / "b.tar.gz"), REVISION)


@pytest.mark.promise("engine.loads")
def test_an_archive_that_is_damaged_is_not_loaded(echo_compiled: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "b.tar.gz"
    for body in (b"", echo_compiled.read_bytes()[:-2000], gzip.compress(b"x" * 1000)):
        damaged.write_bytes(body)
        with pytest.raises(Fault):
            load(damaged)


@pytest.mark.promise("engine.loads")
@pytest.mark.parametrize(
    ("name", "used"), [("time.now_ns", "time.now_ns() > input.now"), ("sprintf", 'sprintf("%v", [input.id]) == "x"')]
)
async def test_a_policy_that_needs_what_only_opa_has_is_not_loaded(
    name: str, used: str, opa_binary: Path, tmp_path: Path
) -> None:
    for file, body in (("guards/clock", used), ("guards/plain", "input.id == 1")):
        rule = tmp_path / "rules" / f"{file}.rego"
        rule.parent.mkdir(parents=True, exist_ok=True)
        rule.write_text(f"package {file.replace('/', '.')}\n\nholds if {body}\n")
    entrypoints = ["guards/clock/holds", "guards/plain/holds"]
    bundle = compile_rules(opa_binary, tmp_path / "rules", entrypoints, tmp_path / "b.tar.gz")
    with pytest.raises(Fault, match=f"needs {name}, which only OPA itself has") as refused:
        await WasmEngine.start(bundle, REVISION)
    assert "guards/clock.rego" in str(refused.value)
    assert "guards/plain.rego" not in str(refused.value)
