"""The machine that a run was made on, and the revision of what was measured."""

import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from pdp.times import rfc3339, system_clock

SYNCS = 100
YARDSTICKS = 5
RECORD = b"x" * 2500  # about what one decision adds to the log
SHARED = "load generator, PDP and OPA share the cores"


def describe(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on; `folder` is on the disk that the log is written to."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "shared": SHARED,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_version()}, {_yardstick_ms():.0f} ms for the yardstick",
        "fdatasync_us": _fdatasync_us(folder),
        "when": rfc3339(system_clock()),
        "load_before": load(),
    }


class Meter:
    """From now on: how much of the machine's CPU time goes to others than us. One whose children have ended counts."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._busy, self._ours = _busy_s(), _ours_s()

    def others(self) -> float:
        """Return the share of all cores that other processes used, 0 to 1."""
        there = (time.monotonic() - self._at) * (os.cpu_count() or 1)
        return max(0.0, (_busy_s() - self._busy) - (_ours_s() - self._ours)) / there


def _busy_s() -> float:
    """Return the seconds that cores were busy, with what the host took from us (`steal`)."""
    user, nice, system, _idle, _wait, irq, soft, steal, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _ours_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def revision(checkout: Path) -> str:
    """Return the commit that is checked out, or `unknown` outside of a repository."""
    return _git(checkout, "rev-parse", "HEAD") or "unknown"


def uncommitted(checkout: Path) -> bool:
    """Say whether tracked files differ from that commit."""
    return bool(_git(checkout, "status", "--porcelain", "--untracked-files=no"))


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _yardstick_ms() -> float:
    """Return what a fixed piece of Python takes: builds without profile-guided optimization take half as long again."""
    took = []
    for _ in range(YARDSTICKS):
        began = time.perf_counter()
        held = 0
        for number in range(100_000):
            held += len({"number": number, "held": held})
        took.append(time.perf_counter() - began)
    return min(took) * 1e3


def _fdatasync_us(folder: Path) -> int:
    """Return the median time of making one record durable, alone."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(RECORD)
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return round(statistics.median(took) * 1e6)
