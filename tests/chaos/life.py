"""One life of a real `pdp serve`: its process, its port, its OPA. What it says goes into a file."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.load import CHECKOUT
from tests.bench.stage import KEPT_VARIABLES

STARTS_WITHIN_S = 60.0  # 1.5 s on a quiet machine; 25 were seen on one with ten times its work


@asynccontextmanager
async def living(settings: dict[str, str], said: Path) -> AsyncIterator[tuple[int, int]]:
    """Run `pdp serve` on a free port; yields its process id and its port. At the end it is killed.

    Raises `RuntimeError` when it ends before, and `TimeoutError`.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PDP_") or k in KEPT_VARIABLES}
    command = [sys.executable, "-m", "pdp", "serve", "--port", "0"]
    environ = {**inherited, "PDP_LOG_LEVEL": "warning", **settings}
    with said.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=CHECKOUT, env=environ, stdout=asyncio.subprocess.PIPE, stderr=file
        )
    try:
        if process.stdout is None:
            raise AssertionError("the service has no pipe")
        line = (await asyncio.wait_for(process.stdout.readline(), STARTS_WITHIN_S)).decode()
        if not line.startswith("pdp serves on "):
            raise RuntimeError(f"`pdp serve` ended before it served; what it said is in {said}")
        yield process.pid, int(line.strip().rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def runs(pid: int) -> bool:
    """Say whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
