"""The console without a browser: who gets in, what a form must carry, and what no page ever does."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.console import Stage, console_running, field, sign_in


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with console_running(tmp_path) as stage:
        yield stage


@pytest.fixture
async def browser(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with cookies that sends what a browser says of its own forms."""
    async with httpx.AsyncClient(base_url=stage.url) as client:
        yield client


@pytest.mark.promise("console.answers")
async def test_a_person_signs_in_sees_the_call_and_approves_it_and_it_runs_once(
    stage: Stage, browser: httpx.AsyncClient
) -> None:
    identifier = await stage.asked()
    inbox = await sign_in(stage, browser)
    assert (inbox.status_code, inbox.url.path) == (200, "/console")
    assert f"/console/approvals/{identifier}" in inbox.text
    page = (await browser.get(f"/console/approvals/{identifier}")).text
    assert "7500" in page
    form = {name: field(page, name) for name in ("form_secret", "presented_digest")}
    done = await browser.post(
        f"/console/approvals/{identifier}/votes",
        data={**form, "vote": "approve", "reason": ""},
        headers={"Origin": stage.url},
        follow_redirects=True,
    )
    assert done.status_code == 200, done.text
    assert "You approved this" in done.text
    assert (await stage.ask())["decision"] == "allow"
    assert (await stage.ask())["decision"] == "needs_approval"
