"""An issuer whose keys cannot be had: its callers are denied on record, in time, and allowed when the keys are back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pdp.identity.keys import MAX_AGE_S, RETRY_S
from pdp.settings import IssuerSettings
from tests.conftest import FakeClock
from tests.contracts.test_issuer_keys import Site, opened
from tests.flow.test_clock_jumps import polled
from tests.flow.test_faults import allowed_again, recorded, said
from tests.idp import ISSUER
from tests.service import Bench, running

pytestmark = pytest.mark.promise("fault.keys_gone")


@asynccontextmanager
async def publishing(tmp_path: Path, clock: FakeClock, **settings: Any) -> AsyncIterator[tuple[Bench, Site]]:
    """Run a service whose issuer publishes its keys at a site."""
    async with opened() as site:
        issuer = IssuerSettings(issuer=ISSUER, jwks_uri=f"{site.url}/jwks", direct_clients=("web-app",))
        async with running(tmp_path, clock, issuers=(issuer,), **settings) as pdp:
            site.page("/jwks", pdp.idp.jwks())
            clock.advance(RETRY_S)
            await polled(pdp)
            await allowed_again(pdp)
            yield pdp, site


@pytest.mark.fault("keys.gone")
async def test_an_issuer_that_is_away_for_more_than_a_day_denies_on_record_until_it_is_back(tmp_path: Path) -> None:
    clock = FakeClock()
    async with publishing(tmp_path, clock) as (pdp, site):
        site.page("/jwks", {}, status=500)
        clock.advance(MAX_AGE_S + 1)
        await polled(pdp)
        given = await pdp.ask()
        assert said(given) == ("deny", ["identity.keys_unavailable"])
        assert recorded(pdp, given) == "deny"
        site.page("/jwks", pdp.idp.jwks())
        clock.advance(RETRY_S)
        await polled(pdp)
        await allowed_again(pdp)


@pytest.mark.fault("keys.gone", "deadline.identify")
async def test_an_issuer_that_hangs_is_a_recorded_deny_at_the_deadline(tmp_path: Path) -> None:
    clock = FakeClock()
    async with publishing(tmp_path, clock, decide_within_s=0.4) as (pdp, site):
        site.go.clear()
        clock.advance(MAX_AGE_S + 1)
        await polled(pdp)
        began = asyncio.get_running_loop().time()
        given = await pdp.ask()
        assert asyncio.get_running_loop().time() - began < 4.5
        assert said(given) == ("deny", ["deadline"])
        assert recorded(pdp, given) == "deny"
        site.go.set()
        clock.advance(RETRY_S)
        await polled(pdp)
        await allowed_again(pdp)


@pytest.mark.fault("keys.gone")
async def test_keys_that_were_withdrawn_deny_whom_they_signed_for(tmp_path: Path) -> None:
    clock = FakeClock()
    async with publishing(tmp_path, clock) as (pdp, site):
        site.page("/jwks", {"keys": []})
        clock.advance(MAX_AGE_S + 1)
        await polled(pdp)
        given = await pdp.ask()
        assert said(given)[0] == recorded(pdp, given) == "deny"
        assert said(given)[1][0].startswith("identity.key")
