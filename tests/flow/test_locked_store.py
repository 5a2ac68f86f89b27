"""Another process holds the store's write lock: who needs to write to it is denied in time, and all others go on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, vote
from tests.flow.test_faults import recorded, said
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("fault.deadline")

AT_ONCE = 12  # more than the store has connections
RECORD_S = 1.0
BOUND_S = 5.0  # deciding, asking people and recording take a second together; SQLite itself would wait for ten


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
