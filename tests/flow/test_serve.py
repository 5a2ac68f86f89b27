"""`pdp serve` as a process: it starts, it ends, and it takes its OPA with it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.commands import run
from tests.conftest import ROOT

pytestmark = pytest.mark.promise("serve.process")
PATIENCE_S = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, bounded, until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Return the processes a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def alive(pid: int) -> bool:
    """Say whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def serving(data_dir: Path, *arguments: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `pdp serve` on a free port and yield the process and its URL."""
    environ = {**os.environ, "PDP_DATA_DIR": str(data_dir), "PDP_LOG_LEVEL": "warning", **settings}
    command = [sys.executable, "-m", "pdp", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            while line and "pdp serves on" not in line:
                line = process.stdout.readline()
            assert line, "the service ended before it served"
            yield process, line.rpartition(" ")[2].strip()
        finally:
            process.kill()


def test_a_killed_service_leaves_no_opa_behind(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url):
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
        started = children(process.pid)
        assert started, "it runs an OPA"
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        until(lambda: not any(alive(pid) for pid in started), "OPA to die with the service")


@pytest.mark.parametrize("what", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_stop_cleans_up_and_ends_well(tmp_path: Path, what: signal.Signals) -> None:
    with serving(tmp_path) as (process, _):
        started = children(process.pid)
        process.send_signal(what)
        assert process.wait(PATIENCE_S) == 0
        assert not any(alive(pid) for pid in started)
        left = [path for path in (tmp_path / "run").rglob("*") if path.is_socket()]
        assert not left


@pytest.mark.fault("service.second")
def test_a_second_service_on_the_same_directory_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        second = run("serve", "--port", "0", environ={**os.environ, "PDP_DATA_DIR": str(tmp_path)}, cwd=ROOT)
        assert second.returncode != 0
        assert "Traceback" not in second.stderr
        assert f"Another process writes the log {tmp_path / 'log' / '0'}: stop it, or give this" in second.stderr
        assert httpx.get(f"{url}/readyz").status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PDP_RATE_PER_SECOND", "many", "PDP_RATE_PER_SECOND"),
        ("PDP_CONFIG", "/nowhere/pdp.toml", "/nowhere/pdp.toml"),
        ("PDP_OPA_BINARY", "/nowhere/opa", "/nowhere/opa"),
        ("PDP_ZONE", "Mars/Olympus", "Mars/Olympus"),
        ("PDP_DATABASE_URL", "mysql://x/y", "PDP_DATABASE_URL"),
        ("PDP_ISSUERS", '[{"issuer": "https://x", "algorithms": ["HS256"]}]', "HS256"),
        ("PDP_ISSUERS", "no json", "issuers"),
        ("PDP_CONFIG", "data_dir = ", "pdp.toml is not TOML"),
        ("PDP_CONFIG", "opa_ur = 'unix:///x'", "PDP_OPA_UR: There is no such setting"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_a_sentence_that_names_it(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    if " = " in value:  # the content of a file
        (tmp_path / "pdp.toml").write_text(value)
        value = str(tmp_path / "pdp.toml")
    environ = {**os.environ, "PDP_DATA_DIR": str(tmp_path), name: value}
    done = run("serve", "--port", "0", environ=environ, cwd=ROOT)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.promise("identify.asserted")
def test_a_key_that_may_vouch_for_callers_is_named_at_the_start(tmp_path: Path) -> None:
    environ = {**os.environ, "PDP_DATA_DIR": str(tmp_path), "PDP_LOG_LEVEL": "warning"}

    def made(*flags: str) -> str:
        done = run("keys", "create", "--server", "payments", "--json", *flags, environ=environ, cwd=ROOT)
        return str(json.loads(done.stdout)["id"])

    plain, unsafe = made(), made("--unsafe-assert-identity")
    said = ""
    serve = [sys.executable, "-m", "pdp", "serve", "--port", "0"]
    with subprocess.Popen(serve, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "pdp serves on" in line:
                break
        process.kill()
    warned = [line for line in said.splitlines() if "WARNING" in line and "unsafe_assert_identity" in line]
    assert [unsafe in line for line in warned] == [True]
    assert plain not in said
