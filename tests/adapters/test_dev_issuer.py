"""The loopback issuer: its keys stay, only we can read them, and the PDP finds and believes them."""

import stat
from pathlib import Path

import pytest

from pdp.dev.issuer import ALGORITHMS, issuer_app, open_issuer
from pdp.dev.loopback import loopback_socket, served, url_of
from pdp.dev.seed import AUDIENCE, BEARERS, people_of, tokens
from pdp.errors import Refused
from pdp.identity.feed import read_feed
from pdp.identity.issuers import Issuer
from pdp.identity.tokens import TokenVerifier
from tests.conftest import FakeClock

pytestmark = pytest.mark.promise("dev.issuer")


def test_keys_are_made_once_and_only_we_can_read_them(tmp_path: Path) -> None:
    first = open_issuer(tmp_path / "keys", "http://127.0.0.1:1")
    again = open_issuer(tmp_path / "keys", "http://127.0.0.1:1")
    assert first.key_set() == again.key_set()
    assert {key["alg"] for key in first.key_set()["keys"]} == set(ALGORITHMS)
    assert "d" not in str(first.key_set()["keys"][0].keys() - {"kid", "kty", "crv", "x", "y", "alg", "use", "n", "e"})
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_its_tokens_are_verified_through_discovery(tmp_path: Path, clock: FakeClock, algorithm: str) -> None:
    with loopback_socket() as bound:
        issuer = open_issuer(tmp_path / "keys", url_of(bound))
        verifier = TokenVerifier([Issuer(issuer=issuer.url)], clock)
        async with served(issuer_app(issuer), bound):
            await verifier.start()
            token = issuer.mint(
                "u-alice", audience=AUDIENCE, client="c", actor="bot", scopes=["a"], now=clock(), algorithm=algorithm
            )
            proof = await verifier.verify(token, {issuer.url: [AUDIENCE]})
            await verifier.close()
    assert (proof.token.subject, proof.token.client, proof.token.actors) == ("u-alice", "c", ("bot",))
    assert proof.token.scopes == ("a",)


async def test_the_sample_tokens_are_good_or_bad_as_their_names_say(tmp_path: Path, clock: FakeClock) -> None:
    with loopback_socket() as bound:
        issuer = open_issuer(tmp_path / "keys", url_of(bound))
        verifier = TokenVerifier([Issuer(issuer=issuer.url)], clock)
        async with served(issuer_app(issuer), bound):
            await verifier.start()
            codes = {}
            for name, token in tokens(issuer, clock(), BEARERS).items():
                try:
                    await verifier.verify(token, {issuer.url: [AUDIENCE]})
                except Refused as refusal:
                    codes[name] = refusal.code
            await verifier.close()
    assert codes == {"stolen": "identity.audience", "expired": "identity.expired"}


def test_the_sample_people_are_a_feed_that_names_every_sample_caller() -> None:
    feed = read_feed(people_of("http://127.0.0.1:1").encode())
    aliases = [*(line.aliases for line in feed.people), *(line.aliases for line in feed.agents)]
    known = {alias.subject for some in aliases for alias in some}
    assert {bearer.subject for bearer in BEARERS} <= known
    assert {bearer.actor for bearer in BEARERS if bearer.actor} <= known
