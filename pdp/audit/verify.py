"""Verify: does every line of a log follow from the one before?"""

from pathlib import Path

from msgspec import Struct

from ..errors import Fault
from .entry import NOTHING_BEFORE, Head, successor
from .read import Reader


class Chain(Struct, frozen=True):
    """A log whose every line follows from the one before. `unfinished_bytes`: a last line without its end."""

    origin: str
    entries: int
    head: str
    unfinished_bytes: int


class Broken(Fault):
    """The log is not what was written; `index` is the first entry that is not as it was."""

    def __init__(self, directory: Path, index: int, reason: str) -> None:
        super().__init__(f"{directory} is broken at entry {index}: {reason}. Keep it as evidence; compare with a copy.")
        self.index = index
        self.reason = reason


def verify(directory: Path) -> Chain:
    """Check the hash chain of one log directory from its first entry. Raises `Broken`, or `OSError`."""
    reader = Reader(directory)
    expected = Head("", 0, NOTHING_BEFORE)
    for line in reader.lines():
        try:
            stood, head = successor(line)
        except ValueError as error:
            raise Broken(directory, expected.index, str(error)) from None
        _check_follows(directory, expected, stood)
        expected = head
    return Chain(expected.origin, expected.index, expected.digest, reader.unfinished_bytes())


def _check_follows(directory: Path, expected: Head, stood: Head) -> None:
    if stood.index != expected.index:
        raise Broken(directory, expected.index, f"entry {stood.index} stands in its place")
    if stood.digest != expected.digest:
        raise Broken(directory, max(0, expected.index - 1), "its bytes are not those the next entry points back to")
    if expected.index and stood.origin != expected.origin:
        raise Broken(directory, expected.index, f"it comes from another log, {stood.origin}")
