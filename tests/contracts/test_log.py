"""The log on real files: what was acknowledged is there, what cannot be written is refused, and it gets up again."""

import asyncio
import json
import logging
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pdp.answer import Receipt
from pdp.audit import shard
from pdp.audit.entry import NOTHING_BEFORE, digest_of, entry_line, read_entry, successor
from pdp.audit.log import GATHERED, MAX_WAITING, Log
from pdp.audit.read import Reader, find_entries, find_entry, last_lines
from pdp.audit.shard import segments
from pdp.audit.verify import verify
from pdp.errors import Fault, Unrecorded
from tests.conftest import ROOT, FakeClock
from tests.disks import freezing_disk, small_disk  # noqa: F401  # fixtures
from tests.page_cache import unwritten_pages

SOON = 5.0


@pytest.fixture
async def log(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Log]:
    opened = Log(tmp_path / "log" / "0", clock)
    yield opened
    await opened.close()


async def write(log: Log, number: int = 0, *, durable: bool = False) -> Receipt:
    deadline = asyncio.get_running_loop().time() + SOON
    return await log.append("decision", {"id": f"dec_{number}"}, durable=durable, deadline=deadline)


def lines(log: Log) -> list[bytes]:
    return list(Reader(log.directory).lines())


@pytest.mark.promise("log.chain")
async def test_each_entry_points_back_to_the_bytes_of_the_one_before(log: Log) -> None:
    receipts = [await write(log, number, durable=number % 2 == 0) for number in range(5)]
    entries = [read_entry(line) for line in lines(log)]
    assert [entry.index for entry in entries] == [0, 1, 2, 3, 4]
    assert [entry.prev for entry in entries] == [NOTHING_BEFORE, *(digest_of(line) for line in lines(log)[:-1])]
    assert [receipt.entry_digest for receipt in receipts] == [digest_of(line) for line in lines(log)]
    assert {entry.origin for entry in entries} == {receipts[0].origin} == {log.origin}
    assert verify(log.directory).entries == 5


@pytest.mark.promise("log.chain")
async def test_concurrent_entries_are_acknowledged_in_the_order_they_stand(log: Log) -> None:
    order: list[int] = []

    async def one(number: int) -> None:
        order.append((await write(log, number, durable=True)).index)

    await asyncio.gather(*(one(number) for number in range(200)))
    assert order == list(range(200))
    assert [read_entry(line).body["id"] for line in lines(log)] == [f"dec_{number}" for number in range(200)]


@pytest.mark.promise("log.durable")
async def test_a_durable_entry_is_on_the_disk_when_it_is_acknowledged(log: Log) -> None:
    await write(log)
    (segment,) = segments(log.directory)
    assert unwritten_pages(segment) > 0
    await write(log, durable=True)
    assert unwritten_pages(segment) == 0


@pytest.mark.promise("log.durable")
async def test_closing_brings_everything_to_the_disk(log: Log) -> None:
    await write(log)
    await log.close()
    assert unwritten_pages(segments(log.directory)[0]) == 0


@pytest.mark.promise("log.private")
async def test_nobody_else_can_read_the_log(log: Log) -> None:
    await write(log)
    assert stat.S_IMODE(log.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in log.directory.iterdir()} == {0o600}


@pytest.mark.promise("log.kinds")
async def test_a_kind_that_is_not_in_the_table_is_not_written(log: Log) -> None:
    with pytest.raises(Fault, match="not a kind of record"):
        await log.append("desicion", {}, durable=False, deadline=asyncio.get_running_loop().time() + SOON)
    await write(log)
    assert len(lines(log)) == 1


@pytest.mark.promise("log.one_writer")
@pytest.mark.fault("service.second")
async def test_a_second_writer_of_the_same_directory_is_refused(log: Log, clock: FakeClock) -> None:
    with pytest.raises(Fault, match="Another process writes the log"):
        Log(log.directory, clock)
    code = f"import asyncio, pathlib; from pdp.audit.shard import Shard; Shard(pathlib.Path({str(log.directory)!r}))"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=asyncio.subprocess.PIPE, cwd=ROOT)
    _, complaint = await asyncio.wait_for(other.communicate(), 30)
    assert other.returncode == 1
    assert b"Another process writes the log" in complaint


@pytest.mark.promise("log.one_writer")
async def test_the_directory_is_free_again_after_close(log: Log, clock: FakeClock) -> None:
    first = await write(log)
    await log.close()
    with pytest.raises(Unrecorded):
        await write(log)
    again = Log(log.directory, clock)
    second = await write(again)
    await again.close()
    assert (second.origin, second.index) == (first.origin, 1)
    assert verify(log.directory).entries == 2


@pytest.mark.promise("log.torn_tail")
@pytest.mark.parametrize("torn", [b'{"index":2,"prev":"sha256:ab', b"\0" * 4096, b"{"])
@pytest.mark.fault("log.torn")
async def test_half_a_line_is_cut_off_and_the_cut_is_recorded(
    log: Log, clock: FakeClock, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await write(log)
    await write(log)
    await log.close()
    with segments(log.directory)[-1].open("ab") as file:
        file.write(torn)
    with caplog.at_level(logging.WARNING):
        again = Log(log.directory, clock)
    receipt = await write(again)
    await again.close()
    assert receipt.index == 3
    repair = read_entry(lines(log)[2])
    assert repair.kind == "log.recovered"
    assert repair.body == {"reason": "torn_tail", "segment": segments(log.directory)[0].name, "cut_bytes": len(torn)}
    assert "was mended" in caplog.text
    assert verify(log.directory).entries == 4


@pytest.mark.promise("log.torn_tail")
@pytest.mark.fault("log.torn")
async def test_a_damaged_last_line_stops_the_start_and_is_not_cut_off(log: Log, clock: FakeClock) -> None:
    await write(log)
    await log.close()
    path = segments(log.directory)[0]
    damaged = path.read_bytes().replace(b'{"index"', b'["index"')
    path.write_bytes(damaged)
    with pytest.raises(Fault, match="is damaged"):
        Log(log.directory, clock)
    assert path.read_bytes() == damaged
    with pytest.raises(Fault, match="is damaged"):  # and the lock was let go
        Log(log.directory, clock)


@pytest.mark.promise("log.rotation")
async def test_a_full_segment_is_followed_by_one_named_after_its_first_entry(tmp_path: Path) -> None:
    opened = shard.Shard(tmp_path / "0")
    await asyncio.to_thread(fill_segment, opened)
    before = opened.head
    opened.close()
    log = Log(tmp_path / "0", FakeClock())
    receipt = await write(log)
    await log.close()
    assert receipt.index == before.index
    assert [path.name for path in segments(log.directory)] == [shard.segment_name(0), shard.segment_name(before.index)]
    assert verify(log.directory).entries == before.index + 1
    assert [read_entry(line).index for line in last_lines(log.directory, 2)] == [before.index - 1, before.index]


def fill_segment(opened: shard.Shard) -> None:
    while segments(opened._directory)[-1].stat().st_size < shard.SEGMENT_BYTES:
        line = entry_line(opened.head, "decision", {"filling": "x" * 1_000_000}, FakeClock()())
        opened.append(line + b"\n", successor(line)[1])


@pytest.mark.promise("log.unrecorded")
@pytest.mark.fault("log.removed")
async def test_a_removed_file_is_noticed_and_what_is_missing_is_said(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    await write(log, 0)
    await write(log, 1)
    segments(log.directory)[0].unlink()
    with pytest.raises(Unrecorded):
        await write(log, 2)
    assert not log.healthy
    receipt = await write(log, 3, durable=True)
    assert log.healthy
    assert "calls are denied until it works" in caplog.text
    kept = [read_entry(line) for line in lines(log)]
    assert [(entry.index, entry.kind) for entry in kept] == [(2, "log.recovered"), (3, "decision")]
    assert kept[0].body == {"reason": "entries_missing", "acknowledged": 2, "found": 0}
    assert receipt.index == 3
    assert kept[0].origin == log.origin
    with pytest.raises(Fault, match="broken at entry 0"):
        verify(log.directory)


@pytest.mark.promise("log.unrecorded")
@pytest.mark.parametrize("harm", ["replaced", "shortened", "lengthened"])
@pytest.mark.fault("log.replaced")
async def test_a_file_changed_by_somebody_else_is_noticed(log: Log, harm: str) -> None:
    await write(log, 0)
    await write(log, 1)
    path = segments(log.directory)[0]
    if harm == "replaced":
        copy = path.with_suffix(".copy")
        copy.write_bytes(path.read_bytes())
        copy.rename(path)
    elif harm == "shortened":
        os.truncate(path, 40)
    else:
        with path.open("ab") as file:
            file.write(b"not a line\n")
    with pytest.raises(Unrecorded):
        await write(log, 2)


@pytest.mark.promise("log.unrecorded")
async def test_entries_cut_off_at_the_end_of_a_line_are_missed_too(log: Log) -> None:
    for number in range(3):
        await write(log, number)
    path = segments(log.directory)[0]
    os.truncate(path, len(path.read_bytes().splitlines(keepends=True)[0]))
    with pytest.raises(Unrecorded):
        await write(log, 3)
    await write(log, 4)
    repaired = read_entry(lines(log)[2])  # after the one that was refused, but stands there
    assert (repaired.index, repaired.kind) == (3, "log.recovered")
    assert repaired.body == {"reason": "entries_missing", "acknowledged": 3, "found": 4}
    with pytest.raises(Fault, match="broken at entry 1"):
        verify(log.directory)


@pytest.mark.promise("log.durable")
def test_after_an_error_everything_is_brought_to_the_disk_before_going_on(tmp_path: Path) -> None:
    opened = shard.Shard(tmp_path / "0")
    line = entry_line(opened.head, "decision", {}, FakeClock()())
    opened.append(line + b"\n", successor(line)[1])
    assert unwritten_pages(segments(tmp_path / "0")[0]) > 0
    opened.abandon()
    opened.reopen()
    assert unwritten_pages(segments(tmp_path / "0")[0]) == 0
    assert opened.head == successor(line)[1]
    opened.close()


@pytest.mark.promise("log.unrecorded")
@pytest.mark.fault("log.removed")
async def test_a_removed_directory_refuses_until_it_is_back(log: Log) -> None:
    await write(log)
    moved = log.directory.with_name("elsewhere")
    log.directory.rename(moved)
    for number in range(3):
        with pytest.raises(Unrecorded):
            await write(log, number)
    moved.rename(log.directory)
    receipt = await write(log, 9)
    assert read_entry(lines(log)[-1]).body == {"id": "dec_9"}
    assert verify(log.directory).entries == receipt.index + 1


@pytest.mark.promise("log.unrecorded")
@pytest.mark.fault("log.full")
async def test_a_full_disk_refuses_every_entry_until_there_is_room(
    small_disk: Path,  # noqa: F811
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log(small_disk / "log" / "0", clock)
    ballast = small_disk / "ballast"
    await write(log, 0)
    ballast.write_bytes(b"x" * 40_000)
    acknowledged = [(await write(log, 0)).index]
    refused = 0
    for number in range(200):
        try:
            acknowledged.append((await write(log, number, durable=number % 2 == 0)).index)
        except Unrecorded:
            refused += 1
    assert refused > 20
    assert caplog.text.count("calls are denied until it works") == 1
    ballast.unlink()
    receipt = await write(log, 999)
    await log.close()
    assert log.healthy
    written = {read_entry(line).index: digest_of(line) for line in lines(log)}
    assert set(acknowledged) <= written.keys()
    assert written[receipt.index] == receipt.entry_digest
    assert verify(log.directory).entries == receipt.index + 1


@pytest.mark.promise("log.unrecorded")
@pytest.mark.fault("log.hangs")
async def test_a_disk_that_hangs_refuses_within_the_deadline_and_is_survived(
    freezing_disk: Path,  # noqa: F811
    clock: FakeClock,
) -> None:
    log = Log(freezing_disk / "log" / "0", clock)
    await write(log, 0, durable=True)
    loop = asyncio.get_running_loop()
    frozen = await asyncio.create_subprocess_exec("fsfreeze", "-f", str(freezing_disk))
    assert await frozen.wait() == 0
    for number in range(1, 4):
        began = loop.time()
        with pytest.raises(Unrecorded, match="in time"):
            await log.append("decision", {"id": f"dec_{number}"}, durable=number == 2, deadline=began + 0.2)
        assert loop.time() - began < 5.0
    thawed = await asyncio.create_subprocess_exec("fsfreeze", "-u", str(freezing_disk))
    assert await thawed.wait() == 0
    receipt = await write(log, 4, durable=True)
    await log.close()
    assert read_entry(lines(log)[-1]).body == {"id": "dec_4"}
    assert verify(log.directory).entries == receipt.index + 1


@pytest.mark.promise("log.unrecorded")
@pytest.mark.fault("log.full")
async def test_a_file_size_limit_of_the_process_refuses_and_is_survived(tmp_path: Path) -> None:
    code = f"""
import asyncio, pathlib, resource, signal
from pdp.audit.log import Log
from pdp.errors import Unrecorded
from pdp.times import system_clock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    log = Log(pathlib.Path({str(tmp_path / "log" / "0")!r}), system_clock)
    loop = asyncio.get_running_loop()
    async def one():
        return await log.append("decision", {{"x": "y" * 1000}}, durable=True, deadline=loop.time() + 5)
    await one()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, {resource.RLIM_INFINITY}))
    for _ in range(5):
        try:
            await one()
        except Unrecorded:
            print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
    print("index", (await one()).index)
    await log.close()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    said = out.decode().split("\n")
    assert said.count("refused") >= 4
    chain = verify(tmp_path / "log" / "0")
    assert said[-2] == f"index {chain.entries - 1}"


@pytest.mark.promise("log.unrecorded")
async def test_a_deadline_that_passed_means_unrecorded(log: Log) -> None:
    with pytest.raises(Unrecorded, match="in time"):
        await log.append("decision", {}, durable=True, deadline=asyncio.get_running_loop().time() - 1)
    await write(log)


@pytest.mark.promise("log.unrecorded")
async def test_a_full_queue_refuses_at_once_and_holds_what_it_took(log: Log) -> None:
    calls = [asyncio.ensure_future(write(log, number)) for number in range(MAX_WAITING + 500)]
    done = await asyncio.gather(*calls, return_exceptions=True)
    taken = [result for result in done if isinstance(result, Receipt)]
    refused = [result for result in done if isinstance(result, Unrecorded)]
    assert len(taken) == MAX_WAITING
    assert len(refused) == 500
    assert verify(log.directory).entries == MAX_WAITING
    await write(log)


@pytest.mark.promise("log.unrecorded")
async def test_a_cancelled_call_neither_loses_nor_breaks_the_chain(log: Log) -> None:
    call = asyncio.ensure_future(write(log, 1))
    await asyncio.sleep(0)
    call.cancel()
    receipt = await write(log, 2)
    assert receipt.index == 1
    assert verify(log.directory).entries == 2


@pytest.mark.promise("log.kill")
@pytest.mark.parametrize("round_", range(3))
@pytest.mark.fault("service.killed")
def test_everything_acknowledged_survives_a_kill(tmp_path: Path, round_: int) -> None:
    directory = tmp_path / "log" / "0"
    acknowledged: dict[int, str] = {}
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.log_writer", str(directory)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert writer.stdout is not None
        for _ in range(400 + 137 * round_):
            note(writer.stdout.readline(), acknowledged)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            note(line, acknowledged)
        writer.stdout.close()
        writer.wait(30)
    written = {read_entry(line).index: digest_of(line) for line in Reader(directory).lines()}
    assert len(acknowledged) > 1000
    assert acknowledged.items() <= written.items()
    asyncio.run(open_and_close(directory))
    verify(directory)


def note(line: bytes, acknowledged: dict[int, str]) -> None:
    index, _, digest = line.decode().rstrip("\n").partition(" ")
    if line.endswith(b"\n"):  # the kill may also tear the pipe's last line
        acknowledged[int(index)] = digest


async def open_and_close(directory: Path) -> None:
    await Log(directory, FakeClock()).close()


@pytest.mark.promise("log.find")
async def test_a_decision_is_found_with_its_outcome_in_any_workers_log(tmp_path: Path, clock: FakeClock) -> None:
    logs = [Log(tmp_path / "log" / worker, clock) for worker in ("0", "1")]
    deadline = asyncio.get_running_loop().time() + SOON
    await write(logs[0], 1)
    await write(logs[0], 12)
    await logs[1].append("outcome", {"decision": "dec_1", "outcome": {}}, durable=False, deadline=deadline)
    await logs[1].append(
        "decision", {"id": "dec_2", "input": {"context": {"id": "dec_1"}}}, durable=False, deadline=deadline
    )
    for log in logs:
        await log.close()
    assert [entry.kind for entry in find_entries(tmp_path, "dec_1")] == ["decision", "outcome"]
    found = find_entry(tmp_path, "dec_1")
    assert found is not None
    assert found.body == {"id": "dec_1"}
    assert find_entry(tmp_path, "dec_3") is None
    assert find_entry(tmp_path / "nowhere", "dec_1") is None


@pytest.mark.promise("log.exact")
async def test_numbers_beyond_64_bits_are_read_back_exactly(log: Log) -> None:
    body = {"amount": 10**30 + 1, "large": 10**4000 + 1, "rate": 1.0, "id": -(2**63) - 1}
    await log.append("decision", body, durable=False, deadline=asyncio.get_running_loop().time() + SOON)
    assert read_entry(lines(log)[0]).body == body
    assert json.loads(lines(log)[0])["body"] == body


@pytest.mark.promise("log.together")
async def test_a_quarter_of_the_calls_under_way_is_written_together(tmp_path: Path, clock: FakeClock) -> None:
    log = Log(tmp_path / "log" / "0", clock, underway=lambda: 4 * GATHERED)
    try:
        receipts = await asyncio.gather(*(write(log, number) for number in range(8)))
        assert [receipt.index for receipt in receipts] == list(range(8))
        writes = max(count for _, count in log.writes.buckets())
        assert writes <= 2
    finally:
        await log.close()


@pytest.mark.promise("log.together")
async def test_an_entry_that_nobody_follows_is_written_soon(tmp_path: Path, clock: FakeClock) -> None:
    log = Log(tmp_path / "log" / "0", clock, underway=lambda: 1000)
    try:
        assert (await write(log, durable=True)).index == 0
        assert (await write(log)).index == 1
    finally:
        await log.close()


@pytest.mark.promise("log.together")
async def test_what_stands_for_a_step_in_the_store_is_written_at_once(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.audit.log.GATHERS_S", 10 * SOON)
    log = Log(tmp_path / "log" / "0", clock, underway=lambda: 1000)
    gathering = asyncio.create_task(write(log))
    await asyncio.sleep(0)
    deadline = asyncio.get_running_loop().time() + SOON
    step = await log.append("approval.spent", {}, durable=True, deadline=deadline)
    assert [(await gathering).index, step.index] == [0, 1], "it takes along what gathers"
    await log.close()


@pytest.mark.promise("log.together")
async def test_what_gathers_is_written_before_the_log_is_brought_to_the_disk_or_closed(
    tmp_path: Path, clock: FakeClock
) -> None:
    log = Log(tmp_path / "log" / "0", clock, underway=lambda: 1000)
    gathering = asyncio.create_task(write(log))
    await asyncio.sleep(0)
    assert (await log.settled()).index == 1
    last = asyncio.create_task(write(log))
    await asyncio.sleep(0)
    await log.close()
    assert [(await each).index for each in (gathering, last)] == [0, 1]


@pytest.mark.promise("log.together")
async def test_what_gathers_while_the_log_fails_is_refused_and_the_next_entry_stands_where_it_says(
    tmp_path: Path, clock: FakeClock
) -> None:
    log = Log(tmp_path / "log" / "0", clock, underway=lambda: 4 * GATHERED)
    try:
        await write(log)
        segments(log.directory)[0].unlink()
        ended = await asyncio.gather(*(write(log, number) for number in range(7)), return_exceptions=True)
        assert {type(one) for one in ended} == {Unrecorded}
        receipt = await write(log)
        assert read_entry(lines(log)[-1]).index == receipt.index
    finally:
        await log.close()
