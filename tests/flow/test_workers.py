"""`pdp serve --workers`: several processes, one service; each has its own log and OPA, and they end together."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from pdp.audit.read import last_lines, shards
from pdp.cli.workers import stop

from .test_serve import PATIENCE_S, alive, children, serving, until

pytestmark = pytest.mark.promise("serve.workers")


def everyone(pid: int) -> list[int]:
    """Return the workers of a service, and what they have started."""
    workers = children(pid)
    return [*workers, *(child for worker in workers for child in children(worker))]


def test_workers_serve_as_one_each_with_its_own_log_and_opa_and_end_well(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (process, url):
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
        started = everyone(process.pid)
        assert len(started) == 4, "two workers and their OPAs"
        assert [shard.name for shard in shards(tmp_path)] == ["0", "1"]
        assert all(last_lines(shard, 1) for shard in shards(tmp_path)), "each has probed itself, on record"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert not any(alive(pid) for pid in started)


def test_when_one_worker_dies_all_end_and_the_service_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (process, _):
        started = everyone(process.pid)
        os.kill(children(process.pid)[1], signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 1
        assert process.stdout is not None
        assert "A worker ended by itself" in process.stdout.read()
        until(lambda: not any(alive(pid) for pid in started), "everyone to end")


def test_when_the_parent_is_killed_no_worker_serves_on(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (process, _):
        started = everyone(process.pid)
        process.send_signal(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in started), "everyone to end")


async def test_all_workers_are_told_to_stop_at_once_and_whoever_does_not_is_killed() -> None:
    deaf = "signal.signal(signal.SIGTERM, lambda *_: print(time.monotonic(), flush=True))"
    slow = f"import signal, time\n{deaf}\nprint('up', flush=True)\nwhile True: signal.pause()"
    stubs = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", slow, stdout=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    outs = [stub.stdout for stub in stubs if stub.stdout]
    assert [await out.readline() for out in outs] == [b"up\n"] * 3
    began = time.monotonic()
    await stop(stubs, within_s=5.0)
    assert [stub.returncode for stub in stubs] == [-signal.SIGKILL] * 3
    told = [float(await out.readline()) for out in outs]
    assert max(told) - began < 5.0, "one after the other, the last would have waited for the first two"
    assert time.monotonic() - began < 10.0


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "pdp", "serve", "--workers", "2", "--port", port],
            env=os.environ | {"PDP_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 1
    assert f"Nothing can listen at 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
