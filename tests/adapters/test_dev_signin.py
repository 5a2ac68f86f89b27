"""The sample issuer's sign-in: it leads nowhere but to this machine, and gives each code's token once."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from pdp.dev.issuer import issuer_app, open_issuer
from pdp.dev.seed import DIRECT_CLIENT
from pdp.dev.signin import sample_people, signin_routes
from tests.conftest import FakeClock

pytestmark = pytest.mark.promise("dev.issuer")
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "http://127.0.0.1:9/console/login/done"
ASKED = {
    "response_type": "code",
    "client_id": DIRECT_CLIENT,
    "redirect_uri": BACK,
    "state": "s",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
async def issuer(tmp_path: Path, clock: FakeClock) -> AsyncIterator[httpx.AsyncClient]:
    issuer = open_issuer(tmp_path / "keys", "http://issuer")
    transport = httpx.ASGITransport(issuer_app(issuer, signin_routes(issuer, clock)))
    async with httpx.AsyncClient(transport=transport, base_url="http://issuer") as client:
        yield client


async def code(issuer: httpx.AsyncClient) -> str:
    chosen = await issuer.post("/authorize", params=ASKED, data={"subject": "u-carol"})
    assert chosen.headers["location"].startswith(f"{BACK}?")
    return parse_qs(urlsplit(chosen.headers["location"]).query)["code"][0]


def redeeming(code: str, **changes: str) -> dict[str, str]:
    fields = {"code": code, "code_verifier": VERIFIER, "redirect_uri": BACK, "client_id": DIRECT_CLIENT}
    return {**fields, **changes}


async def test_the_page_lists_the_sample_people_and_says_what_it_is(issuer: httpx.AsyncClient) -> None:
    page = await issuer.get("/authorize", params=ASKED)
    assert page.status_code == 200
    assert "For development on this machine only." in page.text
    assert all(person.name in page.text for person in sample_people())
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await issuer.get("/console.css")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/done"},
        {"redirect_uri": "http://127.0.0.1.evil.example/"},
        {"redirect_uri": "http://127.0.0.1@evil.example/"},
        {"redirect_uri": "javascript://127.0.0.1/%0aalert(1)"},
        {"redirect_uri": ""},
        {"client_id": "client-helpdesk"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
)
async def test_it_leads_nowhere_else_and_takes_nothing_weaker(
    changes: dict[str, str], issuer: httpx.AsyncClient
) -> None:
    for answer in (
        await issuer.get("/authorize", params={**ASKED, **changes}),
        await issuer.post("/authorize", params={**ASKED, **changes}, data={"subject": "u-carol"}),
    ):
        assert (answer.status_code, answer.headers.get("location")) == (400, None)


async def test_nobody_unknown_is_signed_in(issuer: httpx.AsyncClient) -> None:
    assert (await issuer.post("/authorize", params=ASKED, data={"subject": "u-mallory"})).status_code == 400


async def test_a_code_is_good_once_for_who_began_and_for_a_minute(issuer: httpx.AsyncClient, clock: FakeClock) -> None:
    good = redeeming(await code(issuer))
    told = (await issuer.post("/token", data=good)).json()
    assert told.keys() == {"access_token", "id_token", "token_type", "expires_in"}
    assert (await issuer.post("/token", data=good)).status_code == 400
    for changes in ({"code_verifier": "x" * 43}, {"redirect_uri": "http://127.0.0.1:8/"}, {"client_id": "other"}):
        assert (await issuer.post("/token", data=redeeming(await code(issuer), **changes))).status_code == 400
    late = redeeming(await code(issuer))
    clock.advance(61)
    assert (await issuer.post("/token", data=late)).status_code == 400
