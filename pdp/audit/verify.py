"""Verify: does every line of a log follow from the one before, and is none missing at the end?"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from ..errors import Fault
from .entry import NOTHING_BEFORE, Head, successor
from .read import Reader

NONE_KEPT: Mapping[str, Head] = MappingProxyType({})


class Chain(Struct, frozen=True):
    """A log whose every line follows from the one before. `unfinished_bytes`: a last line without its end.

    `kept`: how many of its entries a signed head in the store vouches for.
    """

    origin: str
    entries: int
    head: str
    unfinished_bytes: int
    kept: int = 0


class Broken(Fault):
    """The log is not what was written; `index` is the first entry that is not as it was."""

    def __init__(self, directory: Path, index: int, reason: str) -> None:
        super().__init__(f"{directory} is broken at entry {index}: {reason}. Keep it as evidence; compare with a copy.")
        self.index = index
        self.reason = reason


def verify(directory: Path, kept: Mapping[str, Head] = NONE_KEPT) -> Chain:
    """Check the hash chain of one log directory from its first entry, and that it reaches the head kept of it.

    `kept`: the heads that the store has (`heads.py`), by origin. Raises `Broken`, or `OSError`.
    """
    reader = Reader(directory)
    expected = Head("", 0, NOTHING_BEFORE)
    for line in reader.lines():
        try:
            stood, head = successor(line)
        except ValueError as error:
            raise Broken(directory, expected.index, str(error)) from None
        _check_follows(directory, expected, stood)
        expected = head
        _check_kept(directory, expected, kept)
    reached = kept.get(expected.origin, Head("", 0, ""))
    if expected.index < reached.index:
        why = f"it ends here, and the store has a signed head of {reached.index} entries"
        raise Broken(directory, expected.index, why)
    return Chain(expected.origin, expected.index, expected.digest, reader.unfinished_bytes(), reached.index)


def _check_kept(directory: Path, head: Head, kept: Mapping[str, Head]) -> None:
    known = kept.get(head.origin)
    if known is not None and known.index == head.index and known.digest != head.digest:
        raise Broken(directory, head.index - 1, "it is not the entry that the store has a signed head of")


def _check_follows(directory: Path, expected: Head, stood: Head) -> None:
    if stood.index != expected.index:
        raise Broken(directory, expected.index, f"entry {stood.index} stands in its place")
    if stood.digest != expected.digest:
        raise Broken(directory, max(0, expected.index - 1), "its bytes are not those the next entry points back to")
    if expected.index and stood.origin != expected.origin:
        raise Broken(directory, expected.index, f"it comes from another log, {stood.origin}")
