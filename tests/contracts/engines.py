"""Words the engine suites share: ask, be refused, wait for something."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdp.engine import VERDICT, Engine
from pdp.errors import Refused

SOON = 5.0  # seconds: a deadline that no healthy answer misses, even on a loaded machine
SLACK = 3.0  # seconds a loaded machine may need to notice a deadline: pauses of two were seen


def now() -> float:
    """Return the loop's time."""
    return asyncio.get_running_loop().time()


async def ask(engine: Engine, name: str = "x", entrypoint: str = VERDICT, within: float = SOON) -> Any:
    """Evaluate on `{"id": name}` and return the result, decoded."""
    return json.loads(await engine.evaluate(entrypoint, json.dumps({"id": name}).encode(), now() + within))


async def refusal(engine: Engine, entrypoint: str = VERDICT, within: float = SOON) -> Refused:
    """Evaluate and return the refusal; fails when there is an answer."""
    with pytest.raises(Refused) as caught:
        await ask(engine, entrypoint=entrypoint, within=within)
    return caught.value


async def until(condition: Callable[[], bool], within: float = SOON) -> None:
    """Wait for a condition; fails when it does not come true in time."""
    deadline = now() + within
    while not condition():
        assert now() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False


def halted(pid: int) -> bool:
    """Tell whether every thread of a process has stopped after SIGSTOP, which takes a moment."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def cpu_ticks(pid: int) -> int:
    """Return the processor time a process has used, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
