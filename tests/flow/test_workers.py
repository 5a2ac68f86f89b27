"""`pdp serve --workers`: several processes, one service; each has its own log and OPA, and they end together."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from pdp.audit.read import last_lines, shards

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
