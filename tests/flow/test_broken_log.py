"""The log of a whole service on disks that are full, hang or fail: 503 and never an allow, and back by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pdp.audit.entry import read_entry
from pdp.audit.read import Reader
from pdp.audit.shard import segments
from pdp.audit.verify import verify
from tests.disks import FailingDisk, failing_disk, freezing_disk, small_disk  # noqa: F401  # fixtures
from tests.flow.test_faults import allowed_again, said
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("fault.log_broken")
REFUND = {"order": "o-1", "amount": 40}
MANY = 200  # calls, more than any of these disks takes


@asynccontextmanager
async def logging_on(disk: Path, tmp_path: Path, **settings: Any) -> AsyncIterator[Bench]:
    """Run a service whose log, and nothing else of it, is on that disk."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (disk / "log").mkdir()
    (data_dir / "log").symlink_to(disk / "log")
    async with running(data_dir, org_dir=calm(tmp_path / "org"), **settings) as pdp:
        await allowed_again(pdp)
        yield pdp


async def told(pdp: Bench, tool: str, arguments: dict[str, Any] | None = None) -> tuple[int, str]:
    """Ask once; return the status and the decision."""
    response = await pdp.post("/v1/decisions", pdp.query(tool, arguments))
    return response.status_code, response.json()["decision"]


def on_record(pdp: Bench) -> set[str]:
    """Return the decisions in the log."""
    entries = [read_entry(line) for line in Reader(pdp.service.world.log.directory).lines()]
    return {entry.body["id"] for entry in entries if entry.kind == "decision"}


async def run(*command: str) -> None:
    """Run a program that must succeed."""
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


@pytest.mark.fault("log.full")
async def test_on_a_full_disk_every_call_is_503_until_there_is_room(small_disk: Path, tmp_path: Path) -> None:  # noqa: F811
    async with logging_on(small_disk, tmp_path) as pdp:
        (small_disk / "ballast").write_bytes(b"x" * (16 * 1024))
        answers = [await pdp.post("/v1/decisions", pdp.query()) for _ in range(40)]
        assert {answer.status_code for answer in answers} == {200, 503}, "it filled up on the way"
        allowed = {answer.json()["id"] for answer in answers if answer.status_code == 200}
        assert {answer.json()["decision"] for answer in answers if answer.status_code == 503} == {"deny"}
        assert answers[-1].json()["code"] == "audit.unavailable"
        (small_disk / "ballast").unlink()
        await allowed_again(pdp)
        assert allowed <= on_record(pdp)
        assert verify(pdp.service.world.log.directory).entries


@pytest.mark.fault("log.fsync")
async def test_a_disk_that_does_not_keep_what_it_took_answers_no_call_that_changes_the_world(
    failing_disk: FailingDisk,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with logging_on(failing_disk.place, tmp_path) as pdp:
        assert await told(pdp, "create_refund", REFUND) == (200, "allow")
        failing_disk.fail()
        reads = [await told(pdp, "get_order") for _ in range(4)]
        assert reads == [(200, "allow")] * 4, "a read waits for no disk"
        writes: list[tuple[int, str]] = []
        while len(writes) < MANY and (not writes or writes[-1][0] == 200):  # blocks it has already are kept
            writes.append(await told(pdp, "create_refund", REFUND))
        assert writes[-1] == (503, "deny"), "the disk never failed"
        assert await told(pdp, "create_refund", REFUND) == (503, "deny")
        # Reads are refused until the log was reopened, written anew and synced. When that is, is the kernel's word: on
        # ext4 over a loop fdatasync was seen to say that it kept what is not on the disk.
        failing_disk.heal()
        await allowed_again(pdp)
        assert await told(pdp, "create_refund", REFUND) == (200, "allow")
        assert verify(pdp.service.world.log.directory).entries


@pytest.mark.fault("log.hangs", "deadline.record")
async def test_on_a_disk_that_hangs_calls_are_503_within_the_deadline_and_allowed_when_it_goes_on(
    freezing_disk: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with logging_on(freezing_disk, tmp_path, record_within_s=0.3) as pdp:
        loop = asyncio.get_running_loop()
        await run("fsfreeze", "-f", str(freezing_disk))
        for tool, arguments in (("get_order", None), ("create_refund", REFUND)):
            began = loop.time()
            assert await told(pdp, tool, arguments) == (503, "deny")
            assert loop.time() - began < 5.0
        await run("fsfreeze", "-u", str(freezing_disk))
        await allowed_again(pdp)
        assert verify(pdp.service.world.log.directory).entries


@pytest.mark.fault("log.hangs", "deadline.vet")
async def test_a_changed_definition_that_cannot_be_put_on_record_in_time_is_a_recorded_deny(
    freezing_disk: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with logging_on(freezing_disk, tmp_path, decide_within_s=0.4, record_within_s=20.0) as pdp:
        query = pdp.query()
        query["tool"]["definition_digest"] = "sha256:" + "0" * 64
        await run("fsfreeze", "-f", str(freezing_disk))
        asking = asyncio.ensure_future(pdp.post("/v1/decisions", query))
        done, _ = await asyncio.wait({asking}, timeout=1.0)
        assert not done, "nobody is told before it is on record"
        await run("fsfreeze", "-u", str(freezing_disk))
        given = (await asking).json()
        assert said(given) == ("deny", ["deadline"])
        assert given["id"] in on_record(pdp)


@pytest.mark.fault("log.removed")
async def test_a_log_file_that_is_removed_is_missed_and_the_gap_is_found_for_good(tmp_path: Path) -> None:
    async with running(tmp_path) as pdp:
        directory = pdp.service.world.log.directory
        await allowed_again(pdp)
        segments(directory)[0].unlink()
        assert await told(pdp, "get_order") == (503, "deny")
        await allowed_again(pdp)
        first = read_entry(next(Reader(directory).lines()))
        assert (first.kind, first.body["reason"]) == ("log.recovered", "entries_missing")
        with pytest.raises(Exception, match="broken at entry 0"):
            verify(directory)


@pytest.mark.fault("log.replaced")
@pytest.mark.parametrize("harm", ["replaced", "shortened", "lengthened"])
async def test_a_log_file_that_somebody_else_writes_is_refused_and_the_next_call_says_what_is_missing(
    harm: str, tmp_path: Path
) -> None:
    async with running(tmp_path) as pdp:
        directory = pdp.service.world.log.directory
        await allowed_again(pdp)
        path = segments(directory)[0]
        whole = path.read_bytes()
        if harm == "replaced":
            (tmp_path / "copy").write_bytes(whole)
            (tmp_path / "copy").replace(path)
        else:
            path.write_bytes(whole[:-40] if harm == "shortened" else whole + b"not a line\n")
        assert await told(pdp, "get_order") == (503, "deny")
