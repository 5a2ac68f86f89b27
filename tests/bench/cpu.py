"""CPU time of processes, from the kernel's own account: `/proc/<pid>/task/*/schedstat`, in nanoseconds (Linux)."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

LOOK_EVERY = 0.1  # seconds: an idle PDP looks at its policy files as often, so each look here sees one of those
GATHERED = 0.35  # seconds, after which the projection has begun with what it let gather
QUIET = 0.1  # share of one core; an idle PDP uses up to two thirds of that on a slow machine, with wasm
PATIENCE = 20.0  # seconds until a service that does not come to rest is an error
IDLE_FOR = 2.0  # seconds over which is measured what a service uses that nobody asks


def spent_us(pid: int) -> float:
    """Return the CPU time a process has used, in microseconds, all its threads together."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has just ended; the servers measured here keep theirs
    return total / 1000


def threads_us(pid: int) -> dict[int, float]:
    """Return the CPU time of a process by the number of the thread, in microseconds; `pid` itself is the main one."""
    found: dict[int, float] = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found[int(thread.name)] = int((thread / "schedstat").read_text().split()[0]) / 1000
    return found


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def quiet(pids: list[int]) -> None:
    """Return when these processes rest: what was asked of them is done, work behind the answers too."""
    await asyncio.sleep(GATHERED)
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    rested = 0
    before, at = sum(map(spent_us, pids)), loop.time()
    while rested < 3:  # looks in a row
        await asyncio.sleep(LOOK_EVERY)
        now, moment = sum(map(spent_us, pids)), loop.time()
        rested = rested + 1 if now - before < QUIET * (moment - at) * 1e6 else 0
        before, at = now, moment
        if moment > end:
            raise TimeoutError(f"{pids} did not come to rest within {PATIENCE:.0f} s")


async def idle_us(pids: Iterable[int]) -> dict[int, float]:
    """Return what resting processes use in a second, in microseconds: their polls and looks."""
    before = {pid: spent_us(pid) for pid in pids}
    await asyncio.sleep(IDLE_FOR)
    return {pid: (spent_us(pid) - spent) / IDLE_FOR for pid, spent in before.items()}
