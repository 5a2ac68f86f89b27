"""The log: is its end as long as the store's signed head says, does it hang together, and is its time past?"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..audit.entry import Head, read_entry, successor
from ..audit.heads import heads_of, log_key, must_reach
from ..audit.read import entries, last_lines, shards
from ..errors import Fault
from ..times import EPOCH
from .finding import Finding, fail, failed, ok

LINES = 200  # of each log's end; `pdp log verify` reads all of it
AHEAD = timedelta(seconds=5)  # entries younger than now: somebody set the clock back


def logs(data_dir: Path, rows: Iterable[dict[str, Any]], now: datetime) -> list[Finding]:
    """Check the end of each log under the data directory against the heads that the store keeps."""
    found = shards(data_dir)
    if not (data_dir / "keys" / "log.key").exists():  # looking for it would make a new one, which vouches for nothing
        return [_without_key(data_dir)] if found else [ok("log", "nothing was logged here yet")]
    try:
        kept = heads_of(rows, log_key(data_dir))
    except Fault as fault:
        return [failed("log", fault)]
    seen = {entry.origin for directory in found for entry in entries(last_lines(directory, LINES))}
    advice = "Put it back from where it was moved to; if nobody moved it, keep what is left as evidence."
    gone = [fail("log", f"the log {origin} is gone", advice) for origin in kept if origin not in seen]
    return [*(_end(directory, kept, now) for directory in found), *gone]


def _without_key(data_dir: Path) -> Finding:
    advice = "Restore it from your backup before you start: a new one cannot tell whether a log was cut."
    return fail("log", f"{data_dir / 'keys' / 'log.key'} is gone", advice)


def _end(directory: Path, kept: Mapping[str, Head], now: datetime) -> Finding:
    try:
        lines = last_lines(directory, LINES)
        if not lines:
            return ok("log", f"{directory} is empty")
        count, newest = _linked(lines), read_entry(lines[-1])
        head = kept.get(newest.origin)
        if head is not None:
            must_reach(directory, count, head)
    except Fault as fault:
        return failed("log", fault)
    except (OSError, ValueError) as error:
        return fail("log", f"the end of {directory} is not a log ({error})", "Keep it as evidence; `pdp log verify`.")
    written = EPOCH + timedelta(milliseconds=newest.at_ms)
    if written - now > AHEAD:
        advice = "Find out who set the clock back: until then tokens and rights outlive their end."
        return fail("clock", f"the newest entry of {directory} is of {newest.at}, in the future", advice)
    signed = f", {head.index} of them under a signed head" if head else ""
    return ok("log", f"{directory} has {count} entries{signed}")


def _linked(lines: list[bytes]) -> int:
    """Return how many entries the log has, by its last lines. Raises `ValueError` where one does not follow."""
    expected: Head | None = None
    for line in lines:
        stood, after = successor(line)
        if expected is not None and stood != expected:
            raise ValueError(f"entry {stood.index} does not follow from the one before")
        expected = after
    return expected.index if expected else 0
