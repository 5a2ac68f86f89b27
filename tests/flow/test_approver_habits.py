"""Who agrees at once, always: seen in the metrics without names, and in the report with them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.approvals.report import habits_of
from pdp.times import rfc3339, system_clock
from tests.api.test_approvals import PEOPLE, vote
from tests.conftest import START, FakeClock
from tests.flow.test_approvals import REFUND, asked, know, later_on
from tests.flow.test_operator_commands import pdp
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("approvals.habits")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with running(tmp_path / "pdp", FakeClock(system_clock()), org_dir=calm(tmp_path / "org")) as bench:
        await know(bench, PEOPLE)
        yield bench


async def voted(bench: Bench, person: str, cast: str, amount: int, after_s: int) -> None:
    """Ask for a refund and vote on it after so many seconds."""
    identifier = await asked(bench, arguments={**REFUND, "amount": amount})
    assert isinstance(bench.clock, FakeClock)
    await later_on(bench, bench.clock, after_s)
    done = await vote(bench, identifier, person, vote=cast)
    assert done.status_code == 200, done.text


async def test_votes_are_counted_by_time_and_reported_by_person(bench: Bench) -> None:
    for person, cast, amount, after_s in (
        ("dave", "approve", 6001, 1),
        ("dave", "approve", 6002, 3),
        ("dave", "deny", 6003, 20),
        ("erin", "approve", 6004, 40),
    ):
        await voted(bench, person, cast, amount, after_s)
    page = (await bench.http.get("/metrics")).text
    assert 'pdp_approval_vote_seconds_count{vote="approve"} 3.0' in page
    assert 'pdp_approval_vote_seconds_bucket{le="2.0",vote="approve"} 1.0' in page
    assert 'pdp_approval_vote_seconds_count{vote="deny"} 1.0' in page
    assert not [line for line in page.splitlines() if "dave" in line or "erin" in line]

    report = await asyncio.to_thread(pdp, bench.settings.data_dir, "approvals", "report", "--json")
    assert report.returncode == 0, report.stderr
    dave, erin = json.loads(report.stdout)
    assert dave == {
        "person": "dave",
        "votes": 3,
        "approve_rate": pytest.approx(2 / 3),
        "median_dwell_s": 3.0,
        "fastest_dwell_s": 1.0,
    }
    assert (erin["person"], erin["approve_rate"], erin["median_dwell_s"]) == ("erin", 1.0, 40.0)
    shown = await asyncio.to_thread(pdp, bench.settings.data_dir, "approvals", "report")
    assert "dave  3 votes  67% approved  median 3 s  fastest 1 s" in shown.stdout


def test_where_nobody_voted_the_report_says_so(tmp_path: Path) -> None:
    report = pdp(tmp_path, "approvals", "report", "--days", "7")
    assert (report.returncode, report.stdout) == (0, "Nobody voted in the last 7 days.\n")


@given(
    st.lists(st.tuples(st.sampled_from(["carol", "dave"]), st.sampled_from(["approve", "deny"]), st.integers(0, 9999)))
)
def test_every_vote_is_in_one_line_of_the_report(cast: list[tuple[str, str, int]]) -> None:
    opened = FakeClock(START)
    rows: list[dict[str, Any]] = []
    for person, vote_, after_s in cast:
        at = FakeClock(START)
        at.advance(after_s)
        rows.append({"person": person, "vote": vote_, "opened_at": rfc3339(opened()), "at": rfc3339(at())})
    found = habits_of(rows)
    assert sum(one.votes for one in found) == len(cast)
    assert len(found) == len({person for person, _, _ in cast})
    for one in found:
        assert one.fastest_dwell_s <= one.median_dwell_s
        assert one.approve_rate * one.votes == pytest.approx(
            sum((person, vote_) == (one.person, "approve") for person, vote_, _ in cast)
        )
