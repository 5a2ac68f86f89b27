"""The OPA we run ourselves: private, watched, replaced when it dies or hangs, and gone when we are gone."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pdp.engine.child import LONGEST_SOCKET_PATH
from pdp.engine.local import LocalOpa
from pdp.errors import Fault, Refused

from .conftest import REVISION
from .engines import SLACK, SOON, alive, ask, halted, now, refusal, until

ROOT = Path(__file__).parent.parent.parent
BACK_WITHIN = 15.0  # seconds; 3 are promised, on a quiet machine


@pytest.fixture
async def local(opa_binary: Path, echo_bundle: Path, tmp_path: Path) -> AsyncIterator[LocalOpa]:
    """Return a running OPA of our own."""
    engine = await LocalOpa.start(opa_binary, echo_bundle, REVISION, tmp_path / "run")
    yield engine
    await engine.close()


def pid_of(engine: LocalOpa) -> int:
    """Return the process id of the OPA that answers now."""
    assert engine.pid is not None
    return engine.pid


async def back(engine: LocalOpa) -> list[str]:
    """Ask until there is an answer; return the codes of the refusals on the way."""
    codes = []
    deadline = now() + BACK_WITHIN
    while True:
        try:
            await ask(engine)
        except Refused as refused:
            codes.append(refused.code)
            assert now() < deadline, f"no answer within {BACK_WITHIN} s"
            await asyncio.sleep(0.005)
        else:
            return codes


@pytest.mark.promise("engine.private")
async def test_only_we_may_enter_the_directory_and_use_the_socket(local: LocalOpa, tmp_path: Path) -> None:
    assert local.socket is not None
    assert local.socket.is_relative_to(tmp_path / "run")
    assert local.socket.stat().st_mode & 0o777 == 0o600
    assert local.socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.promise("engine.private")
async def test_opa_sees_none_of_our_environment_and_listens_nowhere_else(local: LocalOpa) -> None:
    process = Path(f"/proc/{pid_of(local)}")
    names = {entry.partition(b"=")[0] for entry in (process / "environ").read_bytes().split(b"\0") if entry}
    assert names == {b"GOGC", b"GOMEMLIMIT"}
    handles = [str(handle.readlink()) for handle in (process / "fd").iterdir()]
    sockets = {handle.removeprefix("socket:[").removesuffix("]") for handle in handles}
    rows = [line.split() for table in ("tcp", "tcp6") for line in (process / "net" / table).read_text().splitlines()]
    assert not [row for row in rows if row[9] in sockets], "it has a TCP socket"


@pytest.mark.promise("engine.private")
async def test_a_socket_that_is_there_already_is_left_alone(
    opa_binary: Path, echo_bundle: Path, tmp_path: Path
) -> None:
    async def foreign(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"mine")
        writer.close()

    (tmp_path / "stale.sock").write_text("left by a crash")
    async with await asyncio.start_unix_server(foreign, tmp_path / "opa.sock"):
        engine = await LocalOpa.start(opa_binary, echo_bundle, REVISION, tmp_path)
        assert await ask(engine) == {"echo": "x"}
        reader, writer = await asyncio.open_unix_connection(tmp_path / "opa.sock")
        assert await reader.read() == b"mine"
        writer.close()
        await engine.close()


@pytest.mark.promise("engine.private")
async def test_a_run_directory_with_a_long_path_still_works(
    opa_binary: Path, echo_bundle: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * LONGEST_SOCKET_PATH)
    engine = await LocalOpa.start(opa_binary, echo_bundle, REVISION, deep)
    home = engine.socket.parent if engine.socket else deep
    assert home.stat().st_mode & 0o777 == 0o700
    assert await ask(engine) == {"echo": "x"}
    await engine.close()
    assert not home.exists()
    assert not list(deep.iterdir())


@pytest.mark.promise("engine.private")
async def test_signals_from_our_terminal_do_not_reach_opa(local: LocalOpa) -> None:
    assert os.getsid(pid_of(local)) != os.getsid(0)


@pytest.mark.promise("engine.recovers")
async def test_after_a_kill_calls_are_refused_and_then_answered_again(local: LocalOpa) -> None:
    for _ in range(3):
        killed = pid_of(local)
        os.kill(killed, signal.SIGKILL)
        assert set(await back(local)) == {"engine.unavailable"}
        assert pid_of(local) != killed


@pytest.mark.promise("engine.recovers")
@pytest.mark.parametrize("gone", [True, False])
async def test_opa_comes_back_with_the_policy_it_had_whatever_became_of_the_file(
    *, gone: bool, opa_binary: Path, echo_bundle: Path, tmp_path: Path
) -> None:
    """What was checked is what runs: the file may be cleared away, or be another by then."""
    bundle = Path(shutil.copy(echo_bundle, tmp_path / "bundle.tar.gz"))
    engine = await LocalOpa.start(opa_binary, bundle, REVISION, tmp_path / "run")
    try:
        await asyncio.to_thread(bundle.unlink)
        if not gone:
            await asyncio.to_thread(bundle.write_bytes, b"another")
        os.kill(pid_of(engine), signal.SIGKILL)
        assert set(await back(engine)) == {"engine.unavailable"}
    finally:
        await engine.close()


@pytest.mark.promise("engine.recovers")
@pytest.mark.promise("engine.deadline")
async def test_a_kill_under_load_lets_no_call_hang_past_its_deadline(local: LocalOpa) -> None:
    longest = 0.0
    outcomes: set[bool | str] = set()

    async def caller(name: str) -> None:
        nonlocal longest
        while now() < finish:
            started = now()
            try:
                outcomes.add((await ask(local, name, within=0.2))["echo"] == name)
            except Refused as refused:
                outcomes.add(refused.code)
                await asyncio.sleep(0.005)
            longest = max(longest, now() - started)

    finish = now() + 1.5
    callers = [asyncio.create_task(caller(f"caller-{number}")) for number in range(16)]
    await until(lambda: True in outcomes)
    os.kill(pid_of(local), signal.SIGKILL)
    await asyncio.gather(*callers)
    assert await ask(local) == {"echo": "x"}
    assert {True, "engine.unavailable"} <= outcomes <= {True, "engine.unavailable", "engine.timeout", "engine.garbled"}
    assert longest < 0.2 + SLACK


@pytest.mark.promise("engine.recovers")
@pytest.mark.fault("opa.stopped")
async def test_an_opa_that_hangs_is_replaced(local: LocalOpa) -> None:
    hung = pid_of(local)
    os.kill(hung, signal.SIGSTOP)
    await until(lambda: halted(hung))
    assert (await refusal(local, within=0.2)).code == "engine.timeout"
    await until(lambda: local.pid not in {hung, None}, within=15)
    assert await ask(local) == {"echo": "x"}
    assert not alive(hung)


@pytest.mark.promise("engine.no_orphan")
async def test_closing_leaves_no_process_and_no_directory(local: LocalOpa, tmp_path: Path) -> None:
    pid = pid_of(local)
    waiting = asyncio.create_task(local.evaluate("pdp/decision/slow", b'{"never": 0.5}', now() + 30))
    await asyncio.sleep(0)
    started = now()
    await local.close()
    assert now() - started < SOON
    assert not alive(pid)
    assert not list((tmp_path / "run").iterdir())
    with pytest.raises(Refused, match="engine"):
        await waiting
    assert (await refusal(local)).code == "engine.unavailable"


@pytest.mark.promise("engine.no_orphan")
@pytest.mark.parametrize("stage", ["pausing", "starting", "listening"])
async def test_closing_in_the_middle_of_a_restart_leaves_nothing(local: LocalOpa, tmp_path: Path, stage: str) -> None:
    run_dir, killed = tmp_path / "run", pid_of(local)
    others = opas_below(os.getpid()) - {killed}  # of other tests of this run
    reached = {
        "pausing": lambda: local.pid is None,
        "starting": lambda: bool(opas_below(os.getpid()) - {killed} - others),
        "listening": lambda: local.pid != killed and any(run_dir.glob("*/opa.sock")),
    }
    os.kill(killed, signal.SIGKILL)
    await until(reached[stage])
    children = opas_below(os.getpid()) - others
    await local.close()
    assert not [pid for pid in {killed, *children} if alive(pid)]
    assert not list(run_dir.iterdir())


def opas_below(parent: int) -> set[int]:
    """Return the processes a process has started."""
    return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


@pytest.mark.promise("engine.no_orphan")
async def test_a_stopped_opa_is_ended_too(local: LocalOpa, tmp_path: Path) -> None:
    pid = pid_of(local)
    os.kill(pid, signal.SIGSTOP)
    await local.close()
    assert not alive(pid)
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.promise("engine.no_orphan")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_opa_dies_with_a_pdp_that_is_killed(
    opa_binary: Path, echo_bundle: Path, tmp_path: Path, loop: str
) -> None:
    keeper = await asyncio.create_subprocess_exec(
        *(sys.executable, Path(__file__).with_name("keeper.py"), loop, opa_binary, echo_bundle, tmp_path / "run"),
        env={"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert keeper.stdout is not None
    pid = int(await asyncio.wait_for(keeper.stdout.readline(), 4 * SOON))
    assert alive(pid)
    keeper.kill()
    await keeper.wait()
    await until(lambda: not alive(pid))
    await keeper.stdout.read()


@pytest.mark.promise("engine.recovers")
async def test_a_policy_that_opa_will_not_load_is_a_fault_that_says_why(opa_binary: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "decision.rego").write_text("package pdp.decision\nverdict := {{{\n")
    with pytest.raises(Fault, match="rego_parse_error"):
        await LocalOpa.start(opa_binary, tmp_path / "bad", REVISION, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.promise("engine.recovers")
async def test_a_program_that_cannot_be_run_is_a_fault_that_says_so(echo_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="cannot be run"):
        await LocalOpa.start(tmp_path / "no-opa", echo_bundle, REVISION, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.promise("engine.recovers")
async def test_a_run_directory_that_cannot_be_made_is_a_fault_that_says_so(
    opa_binary: Path, echo_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Fault, match="writable"):
        await LocalOpa.start(opa_binary, echo_bundle, REVISION, tmp_path / "file" / "run")
