"""Good tokens are accepted, by every algorithm and in every shape we know, and for no longer than they are good."""

import json
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Fault, Refused
from pdp.identity.issuers import Issuer
from pdp.identity.tokens import TokenVerifier
from tests.conftest import START, FakeClock
from tests.idp import ABSENT, AUDIENCE, ISSUER, Idp, make_signers

pytestmark = pytest.mark.promise("tokens.good")
AUDIENCES = {ISSUER: [AUDIENCE]}
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
NOW = int(START.timestamp())


@pytest.fixture(scope="module")
def idp() -> Idp:
    return Idp(START, signers=make_signers())


@pytest.fixture
def jwks(idp: Idp, tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(idp.jwks()))
    return path


@pytest.fixture
def verifier(jwks: Path, clock: FakeClock) -> TokenVerifier:
    return TokenVerifier([Issuer(issuer=ISSUER, algorithms=ALGORITHMS, jwks_file=jwks)], clock)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_of_each_algorithm_is_accepted_with_what_it_says(
    algorithm: str, idp: Idp, verifier: TokenVerifier
) -> None:
    token = (await verifier.verify(idp.token(algorithm, auth_time=NOW - 60, amr=["pwd", "otp"]), AUDIENCES)).token
    assert (token.issuer, token.subject, token.client, token.session) == (ISSUER, "00u1", "web-app", "s-1")
    assert token.scopes == ("tools:call", "refunds")
    assert token.amr == ("pwd", "otp")
    assert (token.issued_at, token.expires_at, token.auth_time) == (NOW, NOW + 3600, NOW - 60)


async def test_shapes_that_real_issuers_send_are_accepted(idp: Idp, verifier: TokenVerifier) -> None:
    shapes: list[dict[str, Any]] = [
        {"aud": [AUDIENCE, "https://other.example"]},
        {"scope": ["tools:call"]},
        {"scope": ABSENT},
        {"scope": ""},
        {"sid": ABSENT},
        {"azp": "web-app"},
        {"nbf": NOW - 5},
        {"iat": NOW + 10},
        {"exp": NOW + 3600.5},
        {"act": {"sub": "client-7"}},
        {"act": {"sub": "client-7", "iss": ISSUER, "act": {"sub": "client-8"}}},
        {"may_act": {"sub": "anyone"}},
        {"authorization_details": [{"type": "mcp_tool_call"}]},
        {"typ": "Bearer"},
        {"sub": "ümlaut@example.com"},
        {"groups": ["a"] * 200, "extra": {"deep": {"deeper": [1, 2, 3]}}},
    ]
    for shape in shapes:
        assert (await verifier.verify(idp.token(**shape), AUDIENCES)).token.issuer == ISSUER
    for kind in ("at+jwt", "application/at+jwt", "AT+JWT"):
        await verifier.verify(idp.token(header={"typ": kind}), AUDIENCES)


async def test_the_chain_of_actors_is_read_with_the_one_at_the_wheel_first(idp: Idp, verifier: TokenVerifier) -> None:
    act = {"sub": "a", "act": {"sub": "b", "act": {"sub": "c", "act": {"sub": "d"}}}}
    assert (await verifier.verify(idp.token(act=act), AUDIENCES)).token.actors == ("a", "b", "c", "d")


async def test_without_a_session_claim_the_token_itself_is_the_session(idp: Idp, verifier: TokenVerifier) -> None:
    assert (await verifier.verify(idp.token(sid=ABSENT, jti="t-9"), AUDIENCES)).token.session == "t-9"


async def test_a_profile_says_where_claims_are_and_which_types_are_accepted(
    idp: Idp, jwks: Path, clock: FakeClock
) -> None:
    entra = Issuer(
        issuer=ISSUER,
        jwks_file=jwks,
        token_types=("JWT",),
        person_claim="oid",
        client_claim="azp",
        scope_claim="scp",
        session_claim="session_id",
    )
    verifier = TokenVerifier([entra], clock)
    shape: dict[str, Any] = {
        "oid": "o-1",
        "azp": "app-1",
        "scp": "a b",
        "session_id": "s-9",
        "client_id": ABSENT,
        "jti": ABSENT,
    }
    token = (await verifier.verify(idp.token(header={"typ": "JWT"}, **shape), AUDIENCES)).token
    assert (token.subject, token.client, token.scopes, token.session) == ("o-1", "app-1", ("a", "b"), "s-9")
    with pytest.raises(Refused, match=r"identity\.token_type"):
        await verifier.verify(idp.token(**shape), AUDIENCES)


async def test_a_token_is_good_until_it_expires_even_when_it_is_remembered(
    idp: Idp, verifier: TokenVerifier, clock: FakeClock
) -> None:
    token = idp.token()
    for second in (0, 3599, 29):  # 29 of the 30 seconds that clocks may differ
        clock.advance(second)
        await verifier.verify(token, AUDIENCES)
    clock.advance(2)
    with pytest.raises(Refused, match=r"identity\.expired"):
        await verifier.verify(token, AUDIENCES)


async def test_a_remembered_token_is_no_good_on_another_server(idp: Idp, verifier: TokenVerifier) -> None:
    token = idp.token()
    await verifier.verify(token, AUDIENCES)
    others: list[dict[str, list[str]]] = [
        {ISSUER: [f"{AUDIENCE}/"]},
        {ISSUER: []},
        {},
        {"https://x.example": [AUDIENCE]},
    ]
    for other in others:
        with pytest.raises(Refused, match=r"identity\.audience"):
            await verifier.verify(token, other)


async def test_one_issuer_cannot_sign_for_another(idp: Idp, jwks: Path, tmp_path: Path, clock: FakeClock) -> None:
    other = Idp(START, issuer="https://other.example", signers=make_signers())
    other_jwks = tmp_path / "other.json"
    other_jwks.write_text(json.dumps(other.jwks()))
    verifier = TokenVerifier(
        [Issuer(issuer=ISSUER, jwks_file=jwks), Issuer(issuer=other.issuer, jwks_file=other_jwks)], clock
    )
    await verifier.verify(other.token(), {other.issuer: [AUDIENCE]})
    with pytest.raises(Refused, match=r"identity\.signature"):
        await verifier.verify(other.token(iss=ISSUER), AUDIENCES)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"algorithms": ("HS256",)}, "algorithms"),
        ({"algorithms": ("none",)}, "algorithms"),
        ({"algorithms": ()}, "algorithms"),
        ({"token_types": ("id_token+jwt",)}, "token_types"),
        ({"token_types": ("application/secevent+jwt",)}, "token_types"),
        ({"token_types": ()}, "token_types"),
        ({"leeway_s": 31}, "leeway_s"),
        ({"leeway_s": -1}, "leeway_s"),
        ({"max_lifetime_s": 0}, "max_lifetime_s"),
        ({"issuer": "http://idp.example"}, "https"),
        ({"issuer": "http://127.evil.example"}, "https"),
        ({"jwks_uri": "http://idp.example/jwks"}, "https"),
        ({"jwks_uri": "file:///etc/passwd"}, "https"),
        ({"jwks_uri": "https://idp.example/jwks", "jwks_file": Path("x")}, "not both"),
    ],
)
@pytest.mark.promise("issuers.checked")
def test_an_issuer_that_would_weaken_verification_is_refused_at_start(
    wrong: dict[str, object], says: str, clock: FakeClock
) -> None:
    with pytest.raises(Fault, match=says):
        TokenVerifier([Issuer(**{"issuer": ISSUER, **wrong})], clock)  # type: ignore[arg-type]


@pytest.mark.promise("issuers.checked")
def test_an_issuer_is_named_once(clock: FakeClock) -> None:
    with pytest.raises(Fault, match="twice"):
        TokenVerifier([Issuer(issuer=ISSUER), Issuer(issuer=ISSUER)], clock)


@pytest.mark.promise("issuers.checked")
@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": []}', '{"keys": {}}', '{"keys": [1]}', "\xff"])
def test_a_key_file_without_a_usable_key_is_a_fault_at_start(content: str, tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(Fault, match="jwks_file"):
        TokenVerifier([Issuer(issuer=ISSUER, jwks_file=path)], clock)
    with pytest.raises(Fault, match="jwks_file"):
        TokenVerifier([Issuer(issuer=ISSUER, jwks_file=tmp_path / "absent")], clock)
