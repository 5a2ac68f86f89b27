"""What waits for people, as operators see it: true, or not there at all, whatever the store does."""

import time
from pathlib import Path

import pytest

from pdp.approvals.waiting import Waiting
from pdp.deadlines import Deadlines
from pdp.store.sql import StoreUnavailable, open_store
from tests.contracts.stores import postgres_url  # noqa: F401  # a fixture
from tests.flow.test_broken_store import fresh as fresh  # noqa: PLC0414  # a fixture
from tests.flow.test_broken_store import slowed
from tests.scrape import scrape, value
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("metrics.true")

WITHIN_S = 2.0
SOON_S = 8.0  # far beyond that on a busy machine, far below what a driver takes to let go
FIGURES = {
    "pdp_approvals_open",
    "pdp_approvals_oldest_seconds",
    "pdp_outbox_due",
    "pdp_outbox_oldest_seconds",
    "pdp_outbox_dead",
}


async def figures(pdp: Bench) -> set[str]:
    """Return which of the figures a scrape shows; one series says whether there are any."""
    found = await scrape(pdp)
    shown = {name for name, _ in found} & FIGURES
    assert value(found, "pdp_backlog_known") == bool(shown)
    return shown


async def test_what_was_counted_before_the_store_went_away_is_not_shown_as_if_it_were_true(tmp_path: Path) -> None:
    async with running(tmp_path / "data", org_dir=calm(tmp_path / "org")) as pdp:
        assert (await pdp.ask("delete_customer", {"customer": "c-1"}))["decision"] == "needs_approval"
        await pdp.service.waiting.look()
        assert await figures(pdp) == FIGURES
        (tmp_path / "data" / "pdp.db").rename(tmp_path / "gone.db")
        with pytest.raises(StoreUnavailable):
            await pdp.service.waiting.look()
        assert await figures(pdp) == set()
        (tmp_path / "gone.db").rename(tmp_path / "data" / "pdp.db")
        await pdp.service.waiting.look()
        assert await figures(pdp) == FIGURES
        assert value(await scrape(pdp), "pdp_approvals_open") == 1


async def test_a_store_that_hangs_is_given_up_in_time(fresh: str, socket_folder: Path) -> None:
    if "host=" not in fresh:
        pytest.skip("no hanging store was tried: PostgreSQL is reached over TCP here")
    deadlines = Deadlines()
    async with slowed(fresh, socket_folder) as (line, url):
        store = await open_store(url)
        waiting = Waiting(store, deadlines, WITHIN_S)
        await waiting.look()
        assert waiting.backlog is not None
        line.delay_s = 60.0
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await waiting.look()
        assert time.monotonic() - began < SOON_S
        assert waiting.backlog is None
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await waiting.look()
        assert len(deadlines._let_go) == 1, "each that has not let go holds a connection that others need"
    await deadlines.close()
    await store.dispose()
