"""`pdp serve` that also counts, 250 times a CPU second, where its event loop stands; writes folded stacks at its end.

The kernel's SIGPROF comes with the CPU time of all threads together, so each look is weighed by what the main thread
itself has used since the last one. C code counts for the Python function that called it. The environment variable
`PDP_SAMPLES` names the file: a line a stack, outermost frame first, with its microseconds (the format of flame graphs).
Beside it, with the ending `.threads`, stand the names of the threads by their numbers.
"""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from pdp.cli import main

EVERY_S = 0.001  # of CPU; the kernel's clock tick (mostly 4 ms) is the least it can do


class Sampler:
    """Between `start` and `write`, adds up CPU time by stack."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stacks: Counter[str] = Counter()
        self._at = 0.0

    def start(self) -> None:
        """Begin; SIGUSR2 begins anew, so that start-up does not count."""
        signal.signal(signal.SIGPROF, self._look)
        signal.signal(signal.SIGUSR2, self._begin_anew)
        self._at = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def write(self) -> None:
        """Stop and write what was counted."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._path.write_text("".join(f"{stack} {spent}\n" for stack, spent in self._stacks.most_common()))

    def _begin_anew(self, _number: int, _frame: FrameType | None) -> None:
        names = "".join(f"{thread.native_id} {thread.name}\n" for thread in threading.enumerate())
        self._path.with_suffix(".threads").write_text(names)
        self._stacks.clear()
        self._at = time.thread_time()

    def _look(self, _number: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        self._stacks[_folded(frame)] += round((now - self._at) * 1e6)
        self._at = now


def _folded(frame: FrameType | None) -> str:
    names: list[str] = []
    while frame is not None:
        names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return ";".join(reversed(names))


if __name__ == "__main__":
    sampler = Sampler(Path(os.environ["PDP_SAMPLES"]))
    sampler.start()
    try:
        main()
    finally:
        sampler.write()
