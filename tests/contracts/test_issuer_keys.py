"""Issuer keys over real HTTP: fetched once for all who wait, kept through outages, not to be exhausted by strangers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from pdp.errors import Refused
from pdp.identity.issuers import Issuer
from pdp.identity.keys import MAX_AGE_S, RENEW_AFTER_S, RETRY_S, STALE_AFTER_S, KeyRing
from pdp.identity.tokens import TokenVerifier
from tests.conftest import START, FakeClock
from tests.idp import AUDIENCE, Idp, b64, make_signer, make_signers

pytestmark = pytest.mark.promise("keys.survive")
DISCOVERY = "/.well-known/openid-configuration"


@dataclass
class Site:
    """A small HTTP server on loopback: answers by path, counts what it was asked, and can be told to hang."""

    port: int = 0
    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, path: str, value: Any, status: int = 200) -> None:
        """Answer `path` with a JSON value, or with bytes as they are."""
        self.pages[path] = status, value if isinstance(value, bytes) else json.dumps(value).encode()

    async def was_asked(self, path: str, times: int) -> None:
        """Wait until a path was asked for so often."""
        async with asyncio.timeout(5):
            while self.asked.count(path) < times:  # noqa: ASYNC110  # the server announces nothing
                await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        path = (await reader.readline()).decode().split()[1]
        while (await reader.readline()).strip():
            pass
        self.asked.append(path)
        await self.go.wait()
        status, body = self.pages.get(path, (404, b"{}"))
        location = f"Location: {self.url}/elsewhere\r\n" if status == 302 else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{location}Connection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def opened() -> AsyncIterator[Site]:
    """Run a site for as long as a test needs it."""
    site = Site()
    site.go.set()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        site.go.set()
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="module")
def signers() -> dict[str, Any]:
    return make_signers()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened() as site:
        yield site


@pytest.fixture
def idp(site: Site, signers: dict[str, Any]) -> Idp:
    """Return an issuer whose metadata and keys the site publishes."""
    idp = Idp(START, issuer=site.url, signers={"ES256": signers["ES256"], "RS256": signers["RS256"]})
    site.page(DISCOVERY, {"issuer": site.url, "jwks_uri": f"{site.url}/jwks"})
    site.page("/jwks", idp.jwks())
    return idp


@pytest.fixture
async def verifier(idp: Idp, clock: FakeClock) -> AsyncIterator[TokenVerifier]:
    verifier = TokenVerifier([Issuer(issuer=idp.issuer)], clock)
    yield verifier
    await verifier.close()


async def accepted(verifier: TokenVerifier, idp: Idp, **changes: Any) -> bool:
    """Say whether a fresh good token is accepted; anything but a refusal is an error."""
    try:
        await verifier.verify(idp.token(**changes), {idp.issuer: [AUDIENCE]})
    except Refused as refusal:
        if refusal.code not in {"identity.keys_unavailable", "identity.key_unknown"}:
            raise
        return False
    return True


def ring(verifier: TokenVerifier) -> KeyRing:
    return verifier._keys


async def test_keys_are_discovered_and_fetched_once_for_all_who_wait(
    idp: Idp, site: Site, verifier: TokenVerifier
) -> None:
    assert all(await asyncio.gather(*(accepted(verifier, idp, jti=f"t{i}") for i in range(20))))
    assert site.asked == [DISCOVERY, "/jwks"]


async def test_metadata_is_also_found_where_rfc_8414_puts_it(idp: Idp, site: Site, verifier: TokenVerifier) -> None:
    site.pages["/.well-known/oauth-authorization-server"] = site.pages.pop(DISCOVERY)
    assert await accepted(verifier, idp)


async def test_an_unknown_key_id_costs_one_fetch_however_often_it_comes(
    idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    assert await accepted(verifier, idp)
    clock.advance(RETRY_S)
    before = len(site.asked)
    for i in range(200):
        assert not await accepted(verifier, idp, header={"kid": f"made-up-{i}"})
    assert len(site.asked) == before + 1
    clock.advance(RETRY_S)
    await accepted(verifier, idp, header={"kid": "made-up"})
    assert len(site.asked) == before + 2


def made_up(token: str, number: int) -> str:
    """Return a token with a key id nobody knows; its signature is never reached."""
    header = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": f"made-up-{number}"}).encode()
    return f"{b64(header)}.{token.partition('.')[2]}"


@pytest.mark.parametrize("issuer_answers", [True, False])
async def test_ten_thousand_unknown_key_ids_cause_two_fetches_a_minute_and_delay_no_good_token(
    issuer_answers: bool, idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    audiences = {idp.issuer: [AUDIENCE]}
    await verifier.verify(idp.token(), audiences)
    clock.advance(RETRY_S)
    if not issuer_answers:
        site.page("/jwks", {}, status=500)
    good = idp.token()
    before, refused = len(site.asked), 0
    for number in range(10_000):  # over one minute
        if number % 100 == 0:
            fetched = len(site.asked)
            await verifier.verify(idp.token(jti=f"good-{number}", exp=int(clock().timestamp()) + 60), audiences)
            assert len(site.asked) == fetched, "a good token waited for a fetch"
        try:
            await verifier.verify(made_up(good, number), audiences)
        except Refused as refusal:
            refused += refusal.code == "identity.key_unknown"
        clock.advance(0.006)
    discovery = 0 if issuer_answers else 1  # after a failure the address of the keys is asked for anew
    assert refused == 10_000
    assert len(site.asked) - before <= 2 + discovery


async def test_failed_fetches_count_too(idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock) -> None:
    assert await accepted(verifier, idp)
    clock.advance(RETRY_S)
    site.page("/jwks", {}, status=500)
    before = len(site.asked)
    for i in range(50):
        assert not await accepted(verifier, idp, header={"kid": f"made-up-{i}"})
    assert len(site.asked) == before + 1


async def test_a_good_token_does_not_wait_for_a_fetch_that_a_bad_one_caused(
    idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    assert await accepted(verifier, idp)
    clock.advance(RETRY_S)
    site.go.clear()  # the issuer hangs
    bad = asyncio.create_task(accepted(verifier, idp, header={"kid": "made-up"}))
    await site.was_asked("/jwks", 2)
    assert await asyncio.wait_for(accepted(verifier, idp, jti="t-2"), timeout=4)
    assert not bad.done()
    site.go.set()
    assert not await bad


async def test_a_rotated_key_works_with_the_first_token_it_signed(
    idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    assert await accepted(verifier, idp)
    clock.advance(RETRY_S)
    idp.signers = {"ES256": make_signer("ES256")}
    idp.signers["ES256"].kid = "ec-2"
    site.page("/jwks", idp.jwks())
    assert await accepted(verifier, idp)


async def test_a_withdrawn_key_and_the_tokens_it_signed_stop_working_at_the_next_renewal(
    idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    token = idp.token("RS256")
    await verifier.verify(token, {idp.issuer: [AUDIENCE]})
    del idp.signers["RS256"]
    site.page("/jwks", idp.jwks())
    clock.advance(RENEW_AFTER_S + 1)
    await ring(verifier).renew()
    with pytest.raises(Refused, match=r"identity\.key_unknown"):
        await verifier.verify(token, {idp.issuer: [AUDIENCE]})


@pytest.mark.fault("keys.gone")
async def test_an_issuer_may_be_away_for_a_day_and_no_longer(
    idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    assert await accepted(verifier, idp)
    site.pages.clear()
    for _ in range(10):
        clock.advance(MAX_AGE_S / 10 - 1)
        idp.moment = clock()
        await ring(verifier).renew()
        assert await accepted(verifier, idp)
    assert (await verifier.verify(idp.token(), {idp.issuer: [AUDIENCE]})).keys_stale
    clock.advance(20)
    idp.moment = clock()
    assert not await accepted(verifier, idp)
    site.page(DISCOVERY, {"issuer": site.url, "jwks_uri": f"{site.url}/jwks"})
    site.page("/jwks", idp.jwks())
    clock.advance(RETRY_S)
    assert await accepted(verifier, idp)


async def test_keys_that_were_just_confirmed_are_not_called_stale(
    idp: Idp, verifier: TokenVerifier, clock: FakeClock
) -> None:
    assert not (await verifier.verify(idp.token(), {idp.issuer: [AUDIENCE]})).keys_stale
    clock.advance(STALE_AFTER_S + 1)
    assert (await verifier.verify(idp.token(), {idp.issuer: [AUDIENCE]})).keys_stale


async def test_a_remembered_token_does_not_outlive_the_last_keys(
    idp: Idp, site: Site, verifier: TokenVerifier, clock: FakeClock
) -> None:
    token = idp.token(exp=int(START.timestamp()) + 86_400)
    await verifier.verify(token, {idp.issuer: [AUDIENCE]})
    site.pages.clear()
    clock.advance(86_399)
    await verifier.verify(token, {idp.issuer: [AUDIENCE]})
    clock.advance(2)
    with pytest.raises(Refused, match=r"identity\.keys_unavailable"):
        await verifier.verify(token, {idp.issuer: [AUDIENCE]})


@pytest.mark.promise("keys.honest")
@pytest.mark.parametrize(
    ("path", "page"),
    [
        (DISCOVERY, {"issuer": "https://another.example", "jwks_uri": "JWKS"}),
        (DISCOVERY, {"jwks_uri": "JWKS"}),
        (DISCOVERY, {"issuer": "SITE", "jwks_uri": "http://keys.example/jwks"}),
        (DISCOVERY, {"issuer": "SITE", "jwks_uri": "file:///etc/passwd"}),
        (DISCOVERY, {"issuer": "SITE"}),
        (DISCOVERY, b'{"issuer": "SITE", "issuer": "SITE", "jwks_uri": "JWKS"}'),
        ("/jwks", b"<html>"),
        ("/jwks", b'{"keys": []}'),
        ("/jwks", b'{"keys": [' + b" " * 300_000 + b"]}"),
        ("/jwks", b""),
    ],
)
async def test_metadata_and_keys_that_are_not_as_they_must_be_are_not_used(
    path: str, page: Any, idp: Idp, site: Site, verifier: TokenVerifier
) -> None:
    body = page if isinstance(page, bytes) else json.dumps(page).encode()
    site.page(path, body.replace(b"SITE", site.url.encode()).replace(b"JWKS", f"{site.url}/jwks".encode()))
    assert not await accepted(verifier, idp)


@pytest.mark.promise("keys.honest")
async def test_a_redirect_is_not_followed(idp: Idp, site: Site, verifier: TokenVerifier) -> None:
    site.page("/elsewhere", idp.jwks())
    site.page("/jwks", {}, status=302)
    assert not await accepted(verifier, idp)
    assert "/elsewhere" not in site.asked


async def test_an_unknown_issuer_is_never_asked_for_anything(idp: Idp, site: Site, clock: FakeClock) -> None:
    verifier = TokenVerifier([Issuer(issuer="https://idp.example")], clock)
    with pytest.raises(Refused, match=r"identity\.issuer_unknown"):
        await verifier.verify(idp.token(), {idp.issuer: [AUDIENCE]})
    assert site.asked == []


async def test_keys_are_renewed_in_the_background(idp: Idp, site: Site, verifier: TokenVerifier) -> None:
    await verifier.start()
    await site.was_asked("/jwks", 1)
    assert await accepted(verifier, idp)
    assert site.asked.count("/jwks") == 1
