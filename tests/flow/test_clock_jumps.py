"""A clock that jumps, both ways: nothing is valid that is not, or comes back to life, and calls are allowed again."""

from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, vote
from tests.flow.test_faults import allowed_again, recorded, said
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("fault.clock")
HOUR_S = 3600
MONTH_S = 30 * 24 * HOUR_S


async def polled(pdp: Bench) -> None:
    """Let the service follow its store again, as it does twice a second by itself."""
    for part in (pdp.service.world.people, pdp.service.world.tools, pdp.service.peps):
        await part.poll()


async def only_when_told(pdp: Bench) -> None:
    """Let the service follow its store when the test says so, and not by itself."""
    await pdp.service.following.close()


@pytest.mark.fault("clock.forward", "clock.back")
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (600, None),
        (HOUR_S + 60, "identity.expired"),
        (MONTH_S, "identity.expired"),
        (-600, "identity.not_yet_valid"),
        (-MONTH_S, "identity.not_yet_valid"),
    ],
)
async def test_after_a_jump_facts_are_too_old_until_they_are_read_again_and_fresh_tokens_are_good(
    seconds: int, code: str | None, tmp_path: Path
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock) as pdp:
        await allowed_again(pdp)
        await only_when_told(pdp)
        before = pdp.token(sid="s-before")
        clock.advance(seconds)
        response = await pdp.post("/v1/decisions", pdp.query(token=before))
        assert (response.status_code, response.json()["code"]) == (503, "access.stale"), "not even a key is known"
        await pdp.service.peps.poll()
        given = await pdp.ask(token=before)
        assert said(given) == ("deny", ["facts.stale"])
        assert recorded(pdp, given) == "deny"
        await polled(pdp)
        assert said(await pdp.ask(token=before)) == (("deny", [code]) if code else ("allow", []))
        assert said(await pdp.ask()) == ("allow", [])


@pytest.mark.fault("clock.forward", "clock.back")
@pytest.mark.parametrize(("seconds", "then"), [(-HOUR_S, "allow"), (200, "allow"), (HOUR_S, "needs_approval")])
async def test_an_approval_does_not_outlive_its_time_by_a_jump_and_none_that_was_used_comes_back(
    seconds: int, then: str, tmp_path: Path
) -> None:
    clock = FakeClock()
    async with running(tmp_path / "data", clock, org_dir=calm(tmp_path / "org")) as pdp:
        await know(pdp, APPROVERS)
        await vote(pdp, await asked(pdp), "dave")
        clock.advance(seconds)
        await polled(pdp)
        assert (await pdp.ask("create_refund", REFUND))["decision"] == then
        clock.advance(-seconds)
        await polled(pdp)
        assert (await pdp.ask("create_refund", REFUND))["decision"] == "needs_approval"


@pytest.mark.fault("clock.forward", "clock.back")
async def test_a_clock_that_jumps_there_and_back_leaves_a_service_that_answers_as_before(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock, rate_per_second=5) as pdp:
        token = pdp.token()
        await only_when_told(pdp)
        for seconds in (600, MONTH_S, -600, -MONTH_S):
            clock.advance(seconds)
            response = await pdp.post("/v1/decisions", pdp.query(token=token))
            assert response.json().get("decision") != "allow"
            clock.advance(-seconds)
            await polled(pdp)
            clock.advance(1)
            assert said(await pdp.ask(token=token)) == ("allow", [])
