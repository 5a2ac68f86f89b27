"""The machine: room for the log, how many files may be open, and a clock that does not jump."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from .finding import Finding, fail, ok, warn

MIB = 1024 * 1024
LEAST_FREE = 256 * MIB  # less is minutes of a busy log: a full disk ends every decision in 503
ENOUGH_FREE = 2048 * MIB  # a day of 100 decisions a second leaves time to act, at 200 bytes compressed elsewhere
LEAST_INODES = 1000  # segments, sockets and temporary files of a policy switch need dozens
OPEN_FILES = 4096  # a thousand waiting adapters, the pools, the segments of the log, and room
JUMP_S = 0.5  # slewing moves a clock by 0.5 ms a second at most; more was a step


class Room(Struct, frozen=True):
    """What is left where the log is: bytes and inodes; `inodes` None where a filesystem has no such bound."""

    bytes: int
    inodes: int | None


def disk(room: Room, where: str) -> Finding:
    """Check that the log has room: without it nothing is recorded, so nothing is allowed."""
    free = f"{room.bytes // MIB} MiB are free at {where}"
    advice = "Move old segments of the log away (`pdp log verify` takes them too), or give it a larger disk."
    if room.inodes is not None and room.inodes < LEAST_INODES:
        return fail("disk", f"{room.inodes} inodes are free at {where}", "Remove small files there, or move the log.")
    if room.bytes < LEAST_FREE:
        return fail("disk", free, advice)
    return warn("disk", free, advice) if room.bytes < ENOUGH_FREE else ok("disk", free)


def open_files(soft_limit: int) -> Finding:
    """Check how many files, and so connections, one process may have open; -1 is no limit."""
    if 0 <= soft_limit < OPEN_FILES:
        advice = f"Raise it to {OPEN_FILES}: `ulimit -n {OPEN_FILES}`, or LimitNOFILE= of its systemd unit."
        return warn("limits", f"a process may open {soft_limit} files", advice)
    return ok("limits", f"a process may open {'any number of' if soft_limit < 0 else soft_limit} files")


@contextmanager
def watching_the_clock(found: list[Finding]) -> Iterator[None]:
    """Compare the clock of the day with one that nobody can set, while the other checks run."""
    began = time.time() - time.monotonic()
    yield
    found.append(steps(time.time() - time.monotonic() - began))


def steps(jumped_s: float) -> Finding:
    """Check that the clock was not set while we looked; `jumped_s` seconds it moved by itself."""
    if abs(jumped_s) > JUMP_S:
        advice = "Let chrony or systemd-timesyncd slew it: jumps make tokens expire early, or late."
        return fail("clock", f"the clock jumped by {jumped_s:+.1f} s while this ran", advice)
    return ok("clock", "the clock did not jump while this ran")
