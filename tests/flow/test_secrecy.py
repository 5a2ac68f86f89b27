"""A real service keeps its secrets: in its files, its processes, its memory, and what it says."""

import ctypes
import os
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pdp.times import system_clock
from tests.idp import Idp, make_signer

from .test_serve import children, serving
from .test_workers import everyone

pytestmark = pytest.mark.promise("serve.secrecy")
MARK = "correct-horse-battery-staple"
PR_GET_DUMPABLE = 3  # linux/prctl.h


def open_to_others(folder: Path) -> list[str]:
    """Return what in a folder, and the folder itself, anybody but its owner may open; sockets too."""
    return [
        f"{path} {stat.filemode(path.lstat().st_mode)}"
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]


def made_key(data: Path) -> str:
    """Return an adapter key that `pdp keys create` made, before there was anything in the data directory."""
    command = [sys.executable, "-m", "pdp", "keys", "create", "--server=*", f"--out={data.parent / 'pep.key'}"]
    subprocess.run(command, env={**os.environ, "PDP_DATA_DIR": str(data)}, timeout=60, check=True, capture_output=True)
    return (data.parent / "pep.key").read_text().strip()


@pytest.mark.slow
def test_no_secret_leaves_the_service_by_its_files_its_processes_or_what_it_says(tmp_path: Path) -> None:
    assert os.umask(0o022) in {0o022, 0o077}, "the usual mask is what is tried"
    data = tmp_path / "data"
    key = made_key(data)
    idp = Idp(moment=system_clock(), signers={"ES256": make_signer("ES256")})
    token = idp.token()
    with serving(data, "--workers", "2", PGPASSWORD=MARK, PDP_LOG_LEVEL="debug") as (process, url):
        body = {"caller": {"access_token": token}, "tool": {"server": "payments", "name": "x"}, "arguments": {}}
        said = [httpx.post(f"{url}/v1/decisions", json=body, headers={"Authorization": f"Bearer {shown}"})
                for shown in (key, key[:-2] + "xx", token)]  # fmt: skip
        assert [reply.status_code for reply in said] == [200, 401, 401]
        metrics = httpx.get(f"{url}/metrics").text
        assert open_to_others(data) == []

        workers = children(process.pid)
        engines = [child for worker in workers for child in children(worker)]
        assert (len(workers), len(engines)) == (2, 2)
        for pid in (process.pid, *everyone(process.pid)):
            command = Path(f"/proc/{pid}/cmdline").read_text()
            assert not any(secret in command for secret in (MARK, key, token)), command
            assert "Max core file size        0                    0" in Path(f"/proc/{pid}/limits").read_text()
        for pid in engines:
            environment = Path(f"/proc/{pid}/environ").read_bytes().decode().strip("\0").split("\0")
            assert {item.partition("=")[0] for item in environment} == {"GOGC", "GOMEMLIMIT"}
        process.terminate()
        assert process.stdout is not None
        log = process.stdout.read()
    logged = "".join(path.read_text() for path in (data / "log").rglob("*") if path.is_file())
    assert said[0].json()["id"] in logged
    for secret in (key, key.split("_", 2)[2], token, token.rpartition(".")[2], MARK):
        assert all(secret not in place for place in (log, logged, metrics, *(reply.text for reply in said)))


def test_what_is_in_memory_is_dumped_for_nobody_and_read_by_nobody_else() -> None:
    script = (
        "import ctypes, resource; from pdp.cli.secluded import keep_to_ourselves as keep; libc = ctypes.CDLL(None);"
        f"before = libc.prctl({PR_GET_DUMPABLE}); keep();"
        f"print(before, libc.prctl({PR_GET_DUMPABLE}), resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split(" ", 1) == ["1", "0 (0, 0)\n"]
    assert ctypes.CDLL(None).prctl(PR_GET_DUMPABLE) == 1, "and of this process nothing was changed"
