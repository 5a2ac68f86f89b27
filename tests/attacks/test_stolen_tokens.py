"""Stolen, replayed and altered proofs: a bound token in other hands is refused, each with its own code."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jwt.algorithms import ECAlgorithm

from pdp.errors import Refused
from pdp.identity.dpop import MAX_AGE_S, Proven, thumbprint_of
from pdp.identity.issuers import Issuer
from pdp.identity.possession import Shown, shown_with
from pdp.identity.replays import KEPT_S, Replays
from pdp.identity.tokens import TokenVerifier
from pdp.query import Credential, Dpop, Query, ToolRef
from tests.conftest import START, FakeClock
from tests.holder import URL, Holder, shown
from tests.idp import ABSENT, AUDIENCE, ISSUER, Idp, b64, make_signer, make_signers

pytestmark = pytest.mark.promise("tokens.bound")
AUDIENCES = {ISSUER: [AUDIENCE]}
NOW = int(START.timestamp())
CERTIFICATE = b64(bytes(range(32)))


class Theft(NamedTuple):
    """A wrong proof and the code it must be refused with."""

    name: str
    code: str
    shown: Shown


class Scene(NamedTuple):
    """An issuer, the holder of a bound token, and a thief with a key of the same kind."""

    idp: Idp
    holder: Holder
    thief: Holder
    token: str


@pytest.fixture(scope="module")
def scene() -> Scene:
    idp = Idp(START, signers=make_signers())
    holder, thief = (Holder(START, make_signer("ES256")) for _ in range(2))
    return Scene(idp, holder, thief, idp.token(cnf=holder.cnf))


@pytest.fixture
def jwks(scene: Scene, tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(scene.idp.jwks()))
    return path


@pytest.fixture
def verifier(jwks: Path, clock: FakeClock) -> TokenVerifier:
    return TokenVerifier([Issuer(issuer=ISSUER, jwks_file=jwks)], clock)


async def refusal(verifier: TokenVerifier, token: str, what: Shown) -> str:
    """Return the code a token is refused with, or what it was accepted as; anything but a refusal is an error."""
    try:
        proof = await verifier.verify(token, AUDIENCES, what)
    except Refused as refused:
        return refused.code
    return f"ACCEPTED {proof.token.sender_constrained}"


def keys(scene: Scene) -> Iterator[Theft]:
    """Keys that are not the token's, not public, or no keys."""
    holder, thief, token = scene.holder, scene.thief, scene.token
    private = ECAlgorithm.to_jwk(holder.signer.private, as_dict=True)
    yield Theft("the thief's own key", "identity.proof_key_other", shown(thief.proof(token)))
    yield Theft(
        "the holder's key named, the thief's used",
        "identity.proof_signature",
        shown(thief.proof(token, {"jwk": holder.jwk()})),
    )
    wrong: dict[str, Any] = {
        "with its private part": {**holder.jwk(), "d": private["d"]},
        "a shared secret": {"kty": "oct", "k": "AAAA"},
        "missing": ABSENT,
        "null": None,
        "text": "key",
        "a list": [holder.jwk()],
        "empty": {},
        "for encryption": {**holder.jwk(), "use": "enc"},
        "not allowed to verify": {**holder.jwk(), "key_ops": ["sign"]},
        "off its curve": {**holder.jwk(), "x": holder.jwk()["y"]},
        "of another curve": {**holder.jwk(), "crv": "P-384"},
        "of another kind": make_signer("EdDSA").public_jwk(),
        "declared for another algorithm": {**holder.jwk(), "alg": "ES384"},
        "with numbers for text": {**holder.jwk(), "x": 1},
    }
    for name, jwk in wrong.items():
        yield Theft(f"a key {name}", "identity.proof_key", shown(holder.proof(token, {"jwk": jwk})))


def forms(scene: Scene) -> Iterator[Theft]:
    """Proofs that are not strict JWS, or JWS of another kind."""
    holder, token = scene.holder, scene.token
    good = holder.proof(token)
    head, body, signature = good.split(".")
    texts = ["", "x", "..", f"{good}=", f" {good}", f"{good}\n", f"{good}.x", f"{head}.{body}.", good + "\u00e9"]
    for text in (*texts, "a" * 20_000):
        yield Theft(f"form {text[:12]!r}", "identity.proof_malformed", shown(text))
    for name in ("jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"):
        yield Theft(f"header {name}", "identity.proof_malformed", shown(holder.proof(token, {name: "x"})))
    twice = json.dumps(holder.claims(token)).encode()[:-1] + b', "jti": "p-2"}'
    signed = holder.signer.sign(json.dumps(holder.header()).encode(), twice)
    yield Theft("jti twice", "identity.proof_malformed", shown(signed))
    for kind in ("JWT", "at+jwt", "", "dpop", ABSENT):
        yield Theft(f"typ {kind!r}", "identity.proof_type", shown(holder.proof(token, {"typ": kind})))
    for algorithm in ("none", "HS256", "ES256K", "", "es256"):
        yield Theft(f"alg {algorithm}", "identity.proof_algorithm", shown(holder.proof(token, {"alg": algorithm})))
    yield Theft("no alg", "identity.proof_algorithm", shown(holder.proof(token, {"alg": ABSENT})))
    yield Theft("the token as its own proof", "identity.proof_type", shown(token))
    yield Theft("signature of zeros", "identity.proof_signature", shown(f"{head}.{body}.{b64(bytes(64))}"))
    turned = bytearray(base64.urlsafe_b64decode(signature + "=="))
    turned[5] ^= 1
    yield Theft("a bit turned", "identity.proof_signature", shown(f"{head}.{body}.{b64(bytes(turned))}"))


def requests(scene: Scene) -> Iterator[Theft]:
    """Proofs for another request or token."""
    holder, token = scene.holder, scene.token
    for method in ("GET", "post", "POST ", "DELETE"):
        yield Theft(f"htm {method!r}", "identity.proof_method", shown(holder.proof(token, htm=method)))
    urls = ["https://evil.example/mcp", "http://mcp.example/mcp", f"{URL}/", "https://mcp.example/", f"{URL}%2Fadmin"]
    urls += ["https://mcp.example:8443/mcp", "https://mcp.example.evil.example/mcp", "https://mcp.example/MCP"]
    urls += [
        "https://x@mcp.example/mcp",
        "https://mcp.example/a/../mcp",
        "//mcp.example/mcp",
        "/mcp",
        "mcp",
        "https:///mcp",
    ]
    urls += [
        "https://mcp.example:99999/mcp",
        "ftp://mcp.example/mcp",
        "https://mcp.example\\@evil/mcp",
        f"{URL}%zz",
        f"{URL} ",
    ]
    for url in urls:
        yield Theft(f"htu {url}", "identity.proof_url", shown(holder.proof(token, htu=url)))
    yield Theft(
        "sent to another address", "identity.proof_url", shown(holder.proof(token), url="https://evil.example/")
    )
    yield Theft("sent with another method", "identity.proof_method", shown(holder.proof(token), method="PUT"))
    other = scene.idp.token(cnf=holder.cnf, jti="t-2")
    yield Theft("another token of the same holder", "identity.proof_token", shown(holder.proof(other)))
    for ath in ("x", b64(bytes(32)), b64(bytes(32)) + "="):
        yield Theft(f"ath {ath}", "identity.proof_token", shown(holder.proof(token, ath=ath)))
    wrong: list[Any] = [ABSENT, None, 1, "", ["x"], {"a": 1}, "a\0b"]
    for name in ("jti", "htm", "htu", "ath"):
        for value in wrong:
            changes: dict[str, Any] = {name: value}
            yield Theft(f"{name} {value!r}", "identity.proof_claims", shown(holder.proof(token, **changes)))
    for value in (ABSENT, None, str(NOW), True, [], {}):
        yield Theft(f"iat {value!r}", "identity.proof_claims", shown(holder.proof(token, iat=value)))
    for value in (NOW - MAX_AGE_S - 1, NOW + 31, 0, -1, 10**20, 10**400):
        yield Theft(f"iat {str(value)[:12]}", "identity.proof_time", shown(holder.proof(token, iat=value)))


FAMILIES: list[Callable[[Scene], Iterator[Theft]]] = [keys, forms, requests]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.__name__))
async def test_every_wrong_proof_is_refused_with_its_own_code(
    family: Callable[[Scene], Iterator[Theft]], scene: Scene, verifier: TokenVerifier
) -> None:
    wrong = []
    for theft in family(scene):
        code = await refusal(verifier, scene.token, theft.shown)
        if code != theft.code:
            wrong.append(f"{theft.name}: {code}, expected {theft.code}")
    assert not wrong, "\n".join(wrong)


def test_there_are_more_than_a_hundred_wrong_proofs(scene: Scene) -> None:
    assert sum(1 for family in FAMILIES for _ in family(scene)) > 100


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256", "PS256"])
async def test_the_holder_is_accepted_with_a_key_of_each_kind(
    algorithm: str, scene: Scene, verifier: TokenVerifier
) -> None:
    holder = Holder(START, make_signer(algorithm))
    token = scene.idp.token(cnf=holder.cnf)
    assert await refusal(verifier, token, shown(holder.proof(token))) == "ACCEPTED dpop"


@pytest.mark.parametrize(
    ("htu", "url"),
    [
        (URL, f"{URL}?session=1#x"),
        ("HTTPS://MCP.Example/mcp", URL),
        ("https://mcp.example:443/mcp", URL),
        ("https://mcp.example/%6dcp", URL),
        ("https://mcp.example", "https://mcp.example/"),
        ("https://mcp.example/a%2fb", "https://mcp.example/a%2Fb"),
    ],
)
async def test_two_spellings_of_one_address_are_one(htu: str, url: str, scene: Scene, verifier: TokenVerifier) -> None:
    what = shown(scene.holder.proof(scene.token, htu=htu), url=url)
    assert await refusal(verifier, scene.token, what) == "ACCEPTED dpop"


async def test_a_proof_is_good_for_one_call_and_its_honest_retry(scene: Scene, verifier: TokenVerifier) -> None:
    proof = scene.holder.proof(scene.token)
    for _ in range(3):
        assert await refusal(verifier, scene.token, shown(proof, "sha256:a")) == "ACCEPTED dpop"
    assert await refusal(verifier, scene.token, shown(proof, "sha256:b")) == "identity.proof_replayed"
    resigned = scene.holder.proof(scene.token, iat=NOW - 1)  # the same jti in a proof made anew
    assert await refusal(verifier, scene.token, shown(resigned, "sha256:b")) == "identity.proof_replayed"
    fresh = scene.holder.proof(scene.token, jti="p-2")
    assert await refusal(verifier, scene.token, shown(fresh, "sha256:b")) == "ACCEPTED dpop"


async def test_a_proof_from_the_future_cannot_be_replayed_after_it_was_forgotten(
    scene: Scene, verifier: TokenVerifier, clock: FakeClock
) -> None:
    proof = scene.holder.proof(scene.token, iat=NOW + 30)
    assert await refusal(verifier, scene.token, shown(proof, "sha256:a")) == "ACCEPTED dpop"
    clock.advance(KEPT_S)
    assert await refusal(verifier, scene.token, shown(proof, "sha256:b")) == "identity.proof_replayed"
    clock.advance(1)
    assert await refusal(verifier, scene.token, shown(proof, "sha256:b")) == "identity.proof_time"


async def test_a_refused_call_does_not_use_up_a_proof(scene: Scene, verifier: TokenVerifier) -> None:
    proof = scene.holder.proof(scene.token)
    assert await refusal(verifier, scene.token, shown(proof, "sha256:x", method="GET")) == "identity.proof_method"
    assert await refusal(verifier, scene.token, shown(proof, "sha256:a")) == "ACCEPTED dpop"


async def test_a_remembered_token_still_needs_its_proof(scene: Scene, verifier: TokenVerifier) -> None:
    assert await refusal(verifier, scene.token, shown(scene.holder.proof(scene.token))) == "ACCEPTED dpop"
    assert await refusal(verifier, scene.token, Shown()) == "identity.sender_constraint"
    assert await refusal(verifier, scene.token, shown(scene.thief.proof(scene.token))) == "identity.proof_key_other"
    certificate = Shown(certificate_thumbprint=scene.holder.cnf["jkt"])
    assert await refusal(verifier, scene.token, certificate) == "identity.sender_constraint"


async def test_a_certificate_is_compared_at_every_use(scene: Scene, verifier: TokenVerifier) -> None:
    token = scene.idp.token(cnf={"x5t#S256": CERTIFICATE})
    assert await refusal(verifier, token, Shown(certificate_thumbprint=CERTIFICATE)) == "ACCEPTED mtls"
    for wrong in ("", CERTIFICATE[:-1], CERTIFICATE.lower(), f"{CERTIFICATE}=", b64(bytes(32)), "\u00fc"):
        assert await refusal(verifier, token, Shown(certificate_thumbprint=wrong)) == "identity.certificate"
    assert await refusal(verifier, token, Shown()) == "identity.sender_constraint"
    assert await refusal(verifier, token, shown(scene.holder.proof(token))) == "identity.sender_constraint"


async def test_an_issuer_may_be_required_to_bind_its_tokens(scene: Scene, jwks: Path, clock: FakeClock) -> None:
    strict = TokenVerifier([Issuer(issuer=ISSUER, jwks_file=jwks, sender_constraint="required")], clock)
    assert await refusal(strict, scene.idp.token(), Shown()) == "identity.sender_constraint"
    seen = Shown(certificate_thumbprint=CERTIFICATE)
    assert await refusal(strict, scene.idp.token(), seen) == "identity.sender_constraint"
    assert await refusal(strict, scene.token, shown(scene.holder.proof(scene.token))) == "ACCEPTED dpop"


async def test_a_proof_beside_a_bearer_token_proves_nothing(scene: Scene, verifier: TokenVerifier) -> None:
    token = scene.idp.token()
    assert await refusal(verifier, token, shown(scene.holder.proof(token))) == "identity.sender_constraint"
    assert await refusal(verifier, token, Shown(certificate_thumbprint=CERTIFICATE)) == "ACCEPTED none"


def made(name: str, key: str, clock: FakeClock) -> Proven:
    """Return a proof that was just made."""
    return Proven(id=name.encode(), thumbprint=key, issued_at=clock().timestamp())


def test_the_memory_of_proofs_is_bounded_and_one_key_does_not_fill_it(clock: FakeClock) -> None:
    replays = Replays(size=10, of_one_key=4)
    for i in range(4):
        replays.use(made(f"a{i}", "a", clock), "x", clock())
    with pytest.raises(Refused, match=r"identity\.proofs_full"):
        replays.use(made("a5", "a", clock), "x", clock())
    for i in range(6):
        replays.use(made(f"b{i}", f"b{i}", clock), "x", clock())
    with pytest.raises(Refused, match=r"identity\.proofs_full"):
        replays.use(made("c", "c", clock), "x", clock())
    replays.use(made("a0", "a", clock), "x", clock())  # a retry needs no room
    clock.advance(KEPT_S + 1)
    for i in range(4):
        replays.use(made(f"d{i}", "a", clock), "x", clock())


@pytest.mark.fault("clock.forward", "clock.back")
def test_a_clock_that_jumps_forward_and_back_lets_no_proof_be_used_for_a_second_call(clock: FakeClock) -> None:
    replays = Replays(size=10)
    stolen = made("stolen", "a", clock)
    replays.use(stolen, "a refund", clock())
    clock.advance(3600)
    replays.use(made("amid", "a", clock), "x", clock())  # whatever comes lets the old ones be forgotten
    clock.advance(-3600)
    with pytest.raises(Refused, match=r"identity\.proof_time"):
        replays.use(stolen, "another refund", clock())
    for number in range(40):  # and those of the hour that did not come hold up nobody for an hour
        clock.advance(KEPT_S / 4)
        replays.use(made(f"after-{number}", "a", clock), "x", clock())


def test_what_a_query_shows_names_exactly_this_call() -> None:
    def asked(tool: str, **arguments: Any) -> str:
        credential = Credential(access_token="t", dpop=Dpop("p", "POST", URL))
        return shown_with(Query(credential, ToolRef("payments", tool), arguments)).action

    assert asked("refund", amount=1) == asked("refund", amount=1)
    assert len({asked("refund", amount=1), asked("refund", amount=2), asked("pay", amount=1), asked("refund")}) == 4


@pytest.mark.parametrize(
    ("jwk", "thumbprint"),
    [
        (
            {
                "kty": "EC",
                "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
                "crv": "P-256",
            },
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ),
        (
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "ignored"},
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
    ],
)
def test_thumbprints_are_those_of_the_standards_examples(jwk: dict[str, Any], thumbprint: str) -> None:
    """The examples of RFC 9449, section 6.1, and RFC 8037, appendix A.3."""
    assert thumbprint_of(jwk) == thumbprint
