"""A real log of some hundreds of records in several files, changed at random: every change of what it says is found."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.audit.entry import Head
from pdp.audit.log import Log
from pdp.audit.read import Reader
from pdp.audit.shard import segments
from pdp.audit.verify import Broken, verify
from tests.conftest import FakeClock

pytestmark = pytest.mark.promise("log.tampering")
COUNT = 400
SEGMENT_BYTES = 20_000  # so that there are several files
Lines = list[bytes]


@dataclass(frozen=True, repr=False)
class Written:
    """The bytes of a log by file, the lines in them, and the head that was signed of it."""

    files: Mapping[str, bytes]
    lines: Lines
    kept: Mapping[str, Head]


async def write(directory: Path) -> Head:
    """Write a log as a service does."""
    log = Log(directory, FakeClock(), segment_bytes=SEGMENT_BYTES)
    deadline = asyncio.get_running_loop().time() + 30
    for number in range(COUNT):
        kind = ("decision", "outcome", "signal.received")[number % 3]
        body = {"id": f"dec_{number}", "decision": ("allow", "deny")[number % 2], "input": {"amount": number}}
        await log.append(kind, body, durable=False, deadline=deadline)
    head = await log.settled()
    await log.close()
    return head


@pytest.fixture(scope="module")
def written() -> Iterator[Written]:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "0"
        head = asyncio.run(write(directory))
        files = {path.name: path.read_bytes() for path in segments(directory)}
        yield Written(files, list(Reader(directory).lines()), {head.origin: head})


def lay_out(files: Mapping[str, bytes], directory: Path) -> None:
    for name, content in files.items():
        (directory / name).write_bytes(content)


def is_found(written: Written, files: Mapping[str, bytes]) -> bool:
    """Say whether the change is found; one that leaves every line as it was, in its place, need not be."""
    directory = Path(tempfile.mkdtemp())
    try:
        lay_out(files, directory)
        same = list(Reader(directory).lines()) == written.lines
        try:
            chain = verify(directory, written.kept)
        except Broken:
            return True
        return same or chain.origin not in written.kept  # `pdp log verify` names the heads whose log is not there
    finally:
        shutil.rmtree(directory)


def test_the_log_is_intact_in_several_files_before_anybody_changes_it(written: Written, tmp_path: Path) -> None:
    assert len(written.files) > 3
    lay_out(written.files, tmp_path)
    assert verify(tmp_path, written.kept).entries == len(written.lines) == COUNT


@st.composite
def edited(draw: st.DrawFn, content: bytes) -> bytes:
    """Return bytes with a few of them replaced, removed or added."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content) - 1))
        gone = draw(st.integers(0, 3))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + gone :]
    return content


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_that_are_changed_in_any_file_are_found(written: Written, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(written.files)))
    content = data.draw(edited(written.files[name]))
    assert is_found(written, {**written.files, name: content})


def removed(lines: Lines, at: int, _other: int) -> None:
    del lines[at]


def swapped(lines: Lines, at: int, other: int) -> None:
    lines[at], lines[other] = lines[other], lines[at]


def doubled(lines: Lines, at: int, other: int) -> None:
    lines.insert(other, lines[at])


def overwritten(lines: Lines, at: int, other: int) -> None:
    lines[at] = lines[other]


def turned_around(lines: Lines, at: int, _other: int) -> None:
    lines[at] = lines[at].replace(b'"deny"', b'"allow"') if b'"deny"' in lines[at] else lines[at][:-1] + b" }"


def cut(lines: Lines, at: int, _other: int) -> None:
    del lines[at:]


@settings(max_examples=150, deadline=None)
@given(
    change=st.sampled_from([removed, swapped, doubled, overwritten, turned_around, cut]),
    at=st.integers(0, COUNT - 1),
    other=st.integers(0, COUNT - 1),
)
def test_records_that_are_removed_swapped_inserted_replaced_or_cut_off_are_found(
    written: Written, change: Callable[[Lines, int, int], None], at: int, other: int
) -> None:
    lines = list(written.lines)
    change(lines, at, other)
    assert is_found(written, {"0000000000000000.jsonl": b"".join(line + b"\n" for line in lines)})


def test_a_file_that_is_removed_is_found_whichever_it_is(written: Written) -> None:
    for name in written.files:
        assert is_found(written, {other: content for other, content in written.files.items() if other != name})
