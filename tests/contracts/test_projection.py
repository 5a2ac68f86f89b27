"""The lookup of decisions: filled behind the log, by every worker, losing nothing on restarts and outages."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pdp.audit.log import Log
from pdp.audit.projection import BATCH, Projection
from pdp.audit.read import Reader
from pdp.audit.shard import segments
from pdp.store.decisions import Decided, find_decision, projected
from pdp.store.sql import Store, open_store, reading
from tests.conftest import FakeClock
from tests.contracts.engines import until
from tests.migrated import url_at

SOON = 10.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(url_at(tmp_path / "pdp.db"))
    yield opened
    await opened.dispose()


@pytest.fixture
async def log(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Log]:
    opened = Log(tmp_path / "log" / "0", clock)
    yield opened
    await opened.close()


async def write(log: Log, kind: str, body: dict[str, Any]) -> int:
    deadline = asyncio.get_running_loop().time() + SOON
    return (await log.append(kind, body, durable=False, deadline=deadline)).index


async def find(store: Store, decision: str) -> Decided | None:
    async with reading(store) as connection:
        return await find_decision(connection, decision)


async def follow(log: Log, store: Store, index: int) -> None:
    """Run a projection until it has reached an entry."""
    projection = Projection(log, store)
    await projection.start()
    try:
        await asyncio.wait_for(projection.reached(index), SOON)
    finally:
        await projection.close()


@pytest.mark.promise("projection.complete")
async def test_any_worker_finds_a_decision_and_its_outcome_with_the_bytes_of_the_log(
    log: Log, store: Store, clock: FakeClock, tmp_path: Path
) -> None:
    other = Log(tmp_path / "log" / "1", clock)
    await write(other, "outcome", {"decision": "dec_1", "pep": "pep_1", "outcome": {"disposition": "executed"}})
    await follow(other, store, 0)  # the outcome is there before the decision
    assert await find(store, "dec_1") is None
    index = await write(log, "decision", {"id": "dec_1", "pep": "pep_1", "input": {"amount": 10**30}})
    await follow(log, store, index)
    await other.close()
    found = await find(store, "dec_1")
    assert found is not None
    assert found.pep == "pep_1"
    assert found.entry.encode() == next(iter(Reader(log.directory).lines()))
    assert found.outcome is not None
    assert found.outcome.encode() == next(iter(Reader(other.directory).lines()))
    assert await find(store, "dec_2") is None


@pytest.mark.promise("projection.complete")
async def test_the_first_outcome_stands(log: Log, store: Store) -> None:
    await write(log, "decision", {"id": "dec_1", "pep": "pep_1"})
    await write(log, "outcome", {"decision": "dec_1", "pep": "pep_1", "outcome": {"disposition": "executed"}})
    index = await write(log, "outcome", {"decision": "dec_1", "pep": "pep_1", "outcome": {"disposition": "failed"}})
    await follow(log, store, index)
    found = await find(store, "dec_1")
    assert found is not None
    assert found.outcome is not None
    assert "executed" in found.outcome


@pytest.mark.promise("projection.complete")
async def test_what_was_logged_before_and_between_runs_is_caught_up(log: Log, store: Store) -> None:
    count = BATCH + 50
    for start in (0, count):
        for number in range(start, start + count):
            await write(log, "decision" if number % 3 else "signal.received", {"id": f"dec_{number}", "pep": "p"})
        await follow(log, store, start + count - 1)
    for number in range(2 * count):
        assert (await find(store, f"dec_{number}") is not None) == bool(number % 3)
    async with reading(store) as connection:
        assert await projected(connection, log.origin) == 2 * count


@pytest.mark.promise("projection.complete")
async def test_entries_written_while_it_runs_arrive(log: Log, store: Store) -> None:
    projection = Projection(log, store)
    await projection.start()
    for number in range(30):
        await write(log, "decision", {"id": f"dec_{number}", "pep": "p"})
    await asyncio.wait_for(projection.reached(29), SOON)
    assert await find(store, "dec_29") is not None
    await projection.close()


@pytest.mark.promise("projection.complete")
async def test_a_store_that_went_away_makes_it_late_but_loses_nothing(
    log: Log, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    projection = Projection(log, store)
    await projection.start()
    hidden = tmp_path / "hidden.db"
    (tmp_path / "pdp.db").rename(hidden)
    for number in range(5):
        await write(log, "decision", {"id": f"dec_{number}", "pep": "p"})
    await until(lambda: "StoreUnavailable" in caplog.text)
    hidden.rename(tmp_path / "pdp.db")
    await asyncio.wait_for(projection.reached(4), SOON)
    assert await find(store, "dec_0") is not None
    assert await find(store, "dec_4") is not None
    await projection.close()


@pytest.mark.promise("projection.complete")
async def test_a_removed_log_file_does_not_end_it(log: Log, store: Store) -> None:
    projection = Projection(log, store)
    await projection.start()
    await write(log, "decision", {"id": "dec_0", "pep": "p"})
    await asyncio.wait_for(projection.reached(0), SOON)
    segments(log.directory)[0].unlink()
    with pytest.raises(Exception, match="not written"):
        await write(log, "decision", {"id": "dec_lost", "pep": "p"})
    index = await write(log, "decision", {"id": "dec_2", "pep": "p"})
    await asyncio.wait_for(projection.reached(index), SOON)
    assert await find(store, "dec_2") is not None
    await projection.close()


@pytest.mark.promise("projection.truth")
async def test_what_the_log_lost_in_a_power_cut_is_forgotten_and_its_index_used_again(
    log: Log, store: Store, clock: FakeClock
) -> None:
    for number in range(3):
        await write(log, "decision", {"id": f"dec_{number}", "pep": "p"})
    await follow(log, store, 2)
    await log.close()
    path = segments(log.directory)[0]
    kept = path.read_bytes().splitlines(keepends=True)[:1]  # the other two never reached the disk
    path.write_bytes(b"".join(kept))
    again = Log(log.directory, clock)
    index = await write(again, "decision", {"id": "dec_new", "pep": "p"})
    assert index == 1
    await follow(again, store, index)
    await again.close()
    assert await find(store, "dec_0") is not None
    assert await find(store, "dec_1") is None
    assert await find(store, "dec_2") is None
    assert await find(store, "dec_new") is not None
