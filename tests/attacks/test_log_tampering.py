"""Somebody edits the log: `verify` says where."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.audit.entry import digest_of
from pdp.audit.log import Log
from pdp.audit.shard import segments
from pdp.audit.verify import Broken, verify
from tests.conftest import FakeClock

pytestmark = pytest.mark.promise("log.tampering")
COUNT = 6


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    log = Log(tmp_path / "log" / "0", FakeClock())
    deadline = asyncio.get_running_loop().time() + 5
    for number in range(COUNT):
        body = {"id": f"dec_{number}", "decision": "deny", "amount": 5000}
        await log.append("decision", body, durable=False, deadline=deadline)
    await log.close()
    return log.directory


def edit(directory: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = segments(directory)[0]
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(line + b"\n" for line in change(lines)))


def forge(line: bytes) -> bytes:
    return line.replace(b'"deny"', b'"allo"')


async def test_an_untouched_log_is_intact(directory: Path) -> None:
    chain = verify(directory)
    assert (chain.entries, chain.unfinished_bytes) == (COUNT, 0)
    assert chain.head == digest_of(segments(directory)[0].read_bytes().splitlines()[-1])


@pytest.mark.parametrize("index", range(COUNT - 1))
async def test_every_flipped_bit_of_an_entry_is_found(directory: Path, index: int) -> None:
    path = segments(directory)[0]
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    start = sum(map(len, lines[:index]))
    for offset in range(start, start + len(lines[index])):
        for bit in (0x01, 0x20):
            path.write_bytes(good[:offset] + bytes([good[offset] ^ bit]) + good[offset + 1 :])
            with pytest.raises(Broken) as caught:
                verify(directory)
            assert caught.value.index in {index - 1, index, index + 1}


@pytest.mark.parametrize(
    ("change", "index"),
    [
        (lambda lines: [*lines[:2], forge(lines[2]), *lines[3:]], 2),
        (lambda lines: [*lines[:2], *lines[3:]], 2),
        (lambda lines: lines[1:], 0),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 2),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 3),
        (lambda lines: [*lines[:3], lines[0], *lines[3:]], 3),
        (lambda lines: [*lines[:3], b"", *lines[3:]], 3),
        (lambda lines: [*lines[:3], b'{"index":3}', *lines[3:]], 3),
        (lambda lines: [*lines[:3], lines[3][:-20], *lines[4:]], 3),
        (lambda lines: [*lines[:5], lines[5].replace(b'"origin":"pdp-', b'"origin":"evil-')], 5),
        (lambda lines: [*lines[:3], lines[3].replace(b'"amount"', b'"index":9,"amount"'), *lines[4:]], 3),
    ],
    ids=[
        "changed",
        "removed",
        "first",
        "swapped",
        "doubled",
        "replayed",
        "blank",
        "empty",
        "cut",
        "origin",
        "duplicate-key",
    ],
)
async def test_an_edited_entry_is_found_where_it_stands(
    directory: Path, change: Callable[[list[bytes]], list[bytes]], index: int
) -> None:
    edit(directory, change)
    with pytest.raises(Broken) as caught:
        verify(directory)
    assert caught.value.index == index


async def test_an_entry_forged_with_the_right_digest_breaks_the_next_one(directory: Path) -> None:
    def rewrite(lines: list[bytes]) -> list[bytes]:
        forged = forge(lines[2])
        following = json.loads(lines[3]) | {"prev": digest_of(forged)}
        return [*lines[:2], forged, json.dumps(following, separators=(",", ":")).encode(), *lines[4:]]

    edit(directory, rewrite)
    with pytest.raises(Broken) as caught:
        verify(directory)
    assert caught.value.index == 3


async def test_the_entries_of_another_log_do_not_fit(directory: Path, tmp_path: Path) -> None:
    other = Log(tmp_path / "log" / "1", FakeClock())
    deadline = asyncio.get_running_loop().time() + 5
    for number in range(COUNT):
        await other.append("decision", {"id": f"dec_{number}"}, durable=False, deadline=deadline)
    await other.close()
    theirs = segments(other.directory)[0].read_bytes().splitlines()
    edit(directory, lambda lines: [*lines[:3], *theirs[3:]])
    with pytest.raises(Broken) as caught:
        verify(directory)
    assert caught.value.index in {2, 3}


async def test_a_removed_segment_and_a_torn_one_before_the_last_are_found(directory: Path) -> None:
    path = segments(directory)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    (directory / f"{2:016d}.jsonl").write_bytes(b"".join(lines[2:4]))
    (directory / f"{4:016d}.jsonl").write_bytes(b"".join(lines[4:]))
    assert verify(directory).entries == COUNT
    middle = directory / f"{2:016d}.jsonl"
    middle.write_bytes(b"".join(lines[2:4])[:-9])
    with pytest.raises(Broken) as caught:
        verify(directory)
    assert caught.value.index == 3
    middle.unlink()
    with pytest.raises(Broken) as caught:
        verify(directory)
    assert caught.value.index == 2


async def test_a_line_that_is_still_being_written_is_not_called_broken(directory: Path) -> None:
    with segments(directory)[0].open("ab") as file:
        file.write(b'{"index":6,"prev"')
    chain = verify(directory)
    assert (chain.entries, chain.unfinished_bytes) == (COUNT, 17)
