"""Somebody cuts the end of the log off, or puts another in its place: the store knows how far it had come."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pdp.app import open_service
from pdp.audit.shard import segments
from pdp.errors import Fault
from pdp.store.sql import open_store, transaction
from pdp.store.tables import log_heads
from tests.flow.test_operator_commands import pdp
from tests.service import Bench, running

pytestmark = pytest.mark.promise("log.cut")


@pytest.fixture
async def used(tmp_path: Path) -> Bench:
    """Return what is left of a service that decided a few calls, and stopped."""
    async with running(tmp_path / "pdp") as bench:
        for _ in range(5):
            await bench.ask()
    return bench


def log_of(used: Bench) -> Path:
    return used.settings.data_dir / "log" / "0"


def cut(directory: Path) -> None:
    path = segments(directory)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))


def cut_within(directory: Path) -> None:
    path = segments(directory)[-1]
    path.write_bytes(path.read_bytes()[:-30])


def verified(used: Bench, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = pdp(used.settings.data_dir, "log", "verify", "--json", *arguments)
    return done.returncode, json.loads(done.stdout)


async def test_a_log_that_is_all_there_is_vouched_for_to_its_last_entry(used: Bench) -> None:
    status, (told,) = verified(used)
    assert (status, told["intact"], told["kept"]) == (0, True, told["entries"])
    async with open_service(used.settings, used.clock) as service:
        assert service.world.log.inherited == told["entries"]


@pytest.mark.parametrize("damage", [cut, cut_within])
async def test_a_log_that_was_cut_is_found_and_nothing_is_decided_on_it(
    damage: Callable[[Path], None], used: Bench
) -> None:
    damage(log_of(used))
    status, (told,) = verified(used)
    assert (status, told["intact"]) == (1, False)
    assert "the store has a signed head of" in told["reason"]
    assert verified(used, "--alone")[0] == 0, "the chain alone does not show it"
    with pytest.raises(Fault, match="was cut or replaced"):
        async with open_service(used.settings, used.clock):
            pass


async def test_another_log_in_its_place_is_found(used: Bench) -> None:
    aside = used.settings.data_dir / "aside"
    shutil.move(log_of(used), aside)
    async with open_service(used.settings, used.clock):
        pass  # it begins a new log, as its refusal to go on with a cut one says
    status, told = verified(used)
    assert (status, [one["intact"] for one in told]) == (1, [True, False])
    assert "name the directory it was moved to" in told[1]["reason"]
    status, told = verified(used, str(aside))
    assert (status, [one["intact"] for one in told]) == (0, [True, True])
    cut(aside)
    assert verified(used, str(aside))[0] == 1


async def test_a_chain_written_anew_up_to_the_same_length_is_found(used: Bench, tmp_path: Path) -> None:
    path = segments(log_of(used))[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b'"at":"2', b'"at":"3')]))
    status, (told,) = verified(used)
    assert (status, told["broken_at"]) == (1, len(lines) - 1)
    assert "not the entry that the store has a signed head of" in told["reason"]
    with pytest.raises(Fault, match="was cut or replaced"):
        async with open_service(used.settings, used.clock):
            pass


async def test_a_head_that_was_moved_back_in_the_store_is_a_forgery(used: Bench) -> None:
    cut(log_of(used))
    store = await open_store(used.settings.store_url)
    try:
        async with transaction(store) as connection:
            await connection.execute(update(log_heads).values(entries=log_heads.c.entries - 2))
    finally:
        await store.dispose()
    done = pdp(used.settings.data_dir, "log", "verify")
    assert (done.returncode, "is not as it was signed" in done.stderr) == (1, True)
    with pytest.raises(Fault, match="not as it was signed"):
        async with open_service(used.settings, used.clock):
            pass
