"""A log in many files is one log: verified, followed, looked up and explained over all of them, or found wanting."""

import json
from pathlib import Path
from typing import Any

import pytest

from pdp.app import open_service
from pdp.audit.shard import segments
from pdp.audit.verify import Broken, verify
from pdp.errors import Fault
from tests.flow.test_operator_commands import pdp as command
from tests.page_cache import unwritten_pages
from tests.service import calm, running

SEGMENT_BYTES = 8192  # two or three decisions
CALLS = 20


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.promise("log.rotation")
async def test_a_log_in_many_files_is_read_as_one_by_every_reader_and_a_lost_file_is_found(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    rotating: dict[str, Any] = {"org_dir": calm(tmp_path / "org"), "log_segment_bytes": SEGMENT_BYTES}
    async with running(data_dir, **rotating) as pdp:
        given = [await pdp.ask() for _ in range(CALLS)]
        directory = pdp.service.world.log.directory
        files = segments(directory)
        assert len(files) > CALLS // 4
        await pdp.service.projected()
        for answer in (given[0], given[-1]):
            found = await pdp.http.get(f"/v1/decisions/{answer['id']}", headers={"Authorization": f"Bearer {pdp.key}"})
            assert (found.status_code, answer["id"] in found.text) == (200, True)
    verified = command(data_dir, "log", "verify", "--json")
    (told,) = json.loads(verified.stdout)
    assert (verified.returncode, told["intact"], told["kept"]) == (0, True, told["entries"])
    why = command(data_dir, "why", given[0]["id"], PDP_ORG_DIR=str(tmp_path / "org"))
    assert (why.returncode, given[0]["id"] in why.stdout) == (0, True), why.stderr
    tailed = command(data_dir, "log", "tail", "--json", "-n", str(CALLS))
    assert given[-1]["id"] in tailed.stdout
    async with open_service(pdp.settings, pdp.clock) as service:
        assert service.world.log.inherited == told["entries"], "and it is written on"
    for lost in (files[0], files[len(files) // 2]):
        lost.rename(tmp_path / "lost")
        with pytest.raises(Broken):
            verify(directory)
        (tmp_path / "lost").rename(lost)
    assert verify(directory).entries > told["entries"]
    segments(directory)[-1].unlink()
    assert command(data_dir, "log", "verify").returncode == 1
    with pytest.raises(Fault, match="was cut or replaced"):
        async with open_service(pdp.settings, pdp.clock):
            pass


@pytest.mark.promise("record.durable")
async def test_a_call_that_changes_the_world_is_on_the_disk_when_its_answer_comes_also_in_a_new_file(
    tmp_path: Path,
) -> None:
    rotating: dict[str, Any] = {"org_dir": calm(tmp_path / "org"), "log_segment_bytes": SEGMENT_BYTES}
    async with running(tmp_path / "data", **rotating) as pdp:
        directory, waited = pdp.service.world.log.directory, 0
        for _ in range(CALLS):
            await pdp.ask()
            waited += sum(map(unwritten_pages, segments(directory))) > 0
            await pdp.ask("create_refund", {"order": "o-1", "amount": 40})
            assert not any(map(unwritten_pages, segments(directory)))
        assert waited > CALLS // 2, "a read waits for no disk, or there would be nothing to see here"
