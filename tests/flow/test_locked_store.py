"""Another process holds the store's write lock: who needs to write to it is denied in time, and all others go on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pdp.store.changes import newest_changes
from pdp.store.sql import POOL_SIZE, reading
from pdp.times import parse_rfc3339
from tests.api.test_approvals import PEOPLE, signed_in
from tests.api.test_approvals import vote as post_vote
from tests.conftest import FakeClock
from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, later_on, vote
from tests.flow.test_faults import recorded, said
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("fault.deadline")

AT_ONCE = 12  # more than the store has connections
RECORD_S = 2.0
MORE_THAN_CONNECTIONS = 3 * POOL_SIZE + 8  # SQLAlchemy lets a pool of 8 grow by 10
READS_S = 5.0
WAITS_S = 1.5
BOUND_S = 8.0  # half of it, and a busy machine; SQLite itself would wait for ten


@asynccontextmanager
async def locked(pdp: Bench) -> AsyncIterator[None]:
    """Hold the write lock of the store, once the service does not."""
    path = pdp.settings.data_dir / "pdp.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def in_time(*calls: Awaitable[Any]) -> list[Any]:
    """Return the answers, which must all be there in time."""
    return await asyncio.wait_for(asyncio.gather(*calls), BOUND_S)


async def test_who_has_to_ask_people_is_denied_in_time_and_holds_up_nobody(tmp_path: Path) -> None:
    async with running(tmp_path / "pdp", org_dir=calm(tmp_path / "org"), record_within_s=RECORD_S) as pdp:
        await asked(pdp)
        async with locked(pdp):
            told = await in_time(
                *(pdp.ask("create_refund", {"order": f"o-{n}", "amount": 6000}) for n in range(AT_ONCE))
            )
            assert [said(one) for one in told] == [("deny", ["deadline"])] * AT_ONCE
            (other,) = await in_time(pdp.ask())
            assert other["decision"] == "allow"
        assert {recorded(pdp, one) for one in told} == {"deny"}
        await asked(pdp, arguments={"order": "o-0", "amount": 6000})


async def test_an_approved_call_is_denied_in_time_and_runs_once_at_most_when_the_store_is_free(tmp_path: Path) -> None:
    async with running(tmp_path / "pdp", org_dir=calm(tmp_path / "org"), record_within_s=RECORD_S) as pdp:
        await know(pdp, APPROVERS)
        await vote(pdp, await asked(pdp), "dave")
        async with locked(pdp):
            (told,) = await in_time(pdp.ask("create_refund", REFUND))
            assert said(told) == ("deny", ["deadline"])
        after = [(await pdp.ask("create_refund", REFUND))["decision"] for _ in range(3)]
        assert after == ["allow", "needs_approval", "needs_approval"]


async def test_who_waits_for_the_lock_leaves_connections_to_those_who_read(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "pdp", org_dir=calm(tmp_path / "org"), record_within_s=RECORD_S) as pdp,
        locked(pdp),
    ):
        asking = (pdp.ask("create_refund", {"order": f"o-{n}", "amount": 6000}) for n in range(MORE_THAN_CONNECTIONS))
        assert {said(one)[0] for one in await asyncio.gather(*asking)} == {"deny"}
        async with asyncio.timeout(READS_S), reading(pdp.service.world.store) as connection:
            assert await newest_changes(connection)


async def test_a_person_who_votes_is_told_in_time_and_the_vote_counts_once_the_store_is_free(tmp_path: Path) -> None:
    async with running(tmp_path / "pdp", org_dir=calm(tmp_path / "org"), record_within_s=RECORD_S) as pdp:
        await know(pdp, PEOPLE)
        request = await asked(pdp)
        async with locked(pdp):
            (late,) = await in_time(post_vote(pdp, request, "dave"))
            assert (late.status_code, late.json()["code"]) == (503, "store.unavailable")
        voted = await post_vote(pdp, request, "dave")
        assert (voted.status_code, voted.json()["status"]["status"]) == (200, "approved")


async def test_who_waits_for_a_decision_is_answered_while_what_ran_out_cannot_be_marked(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with running(tmp_path / "pdp", clock, org_dir=calm(tmp_path / "org"), record_within_s=RECORD_S) as pdp:
        await know(pdp, PEOPLE)
        first = await asked(pdp)
        row = (await pdp.service.voting.found(first)).request
        lives = parse_rfc3339(row["expires_at"]) - parse_rfc3339(row["opened_at"])
        await later_on(pdp, clock, int(lives.total_seconds()) - 60)
        second = await asked(pdp, arguments={"order": "o-2", "amount": 6000})
        async with locked(pdp):
            await later_on(pdp, clock, 61)
            watched, key = f"/v1/approvals/{second}?wait={WAITS_S}", {"Authorization": f"Bearer {pdp.key}"}
            told = await in_time(*(pdp.http.get(watched, headers=key) for _ in range(AT_ONCE)))
            assert {(one.status_code, one.json()["status"]) for one in told} == {(200, "open")}
            (inbox,) = await in_time(pdp.http.get("/v1/approvals", headers=signed_in(pdp, "dave")))
            assert inbox.status_code == 200
