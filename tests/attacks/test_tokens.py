"""Hostile tokens: every one refused with an `identity.*` code, none accepted, nothing else raised."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pdp.errors import Refused
from pdp.identity.issuers import Issuer
from pdp.identity.tokens import TokenVerifier
from tests.conftest import START, FakeClock
from tests.idp import ABSENT, AUDIENCE, ISSUER, Idp, Signer, b64, make_signers

pytestmark = pytest.mark.promise("tokens.hostile")
AUDIENCES = {ISSUER: [AUDIENCE]}
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
NOW = int(START.timestamp())


class Attack(NamedTuple):
    """A hostile token and the code it must be refused with."""

    name: str
    code: str
    token: str


@pytest.fixture(scope="module")
def idp() -> Idp:
    return Idp(START, signers=make_signers())


@pytest.fixture
def verifier(idp: Idp, tmp_path: Path, clock: FakeClock) -> TokenVerifier:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(idp.jwks()))
    return TokenVerifier([Issuer(issuer=ISSUER, algorithms=ALGORITHMS, jwks_file=jwks)], clock)


def raw(idp: Idp, header: Any, payload: Any, algorithm: str = "ES256") -> str:
    """Sign a header and payload given as bytes or as values."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return idp.signers[algorithm].sign(*parts)


def one_claim(idp: Idp, name: str, value: Any) -> str:
    """Return a token that is good but for one claim."""
    changes: dict[str, Any] = {name: value}
    return idp.token(**changes)


def unsigned(idp: Idp) -> Iterator[Attack]:
    """No signature, in every spelling."""
    payload = json.dumps(idp.claims()).encode()
    for alg in ("none", "None", "NONE", "nOnE", ""):
        header = json.dumps({"alg": alg, "typ": "at+jwt"}).encode()
        yield Attack(f"alg {alg!r}, no signature", "identity.token_malformed", f"{b64(header)}.{b64(payload)}.")
        yield Attack(f"alg {alg!r}, some signature", "identity.algorithm", f"{b64(header)}.{b64(payload)}.AA")
    good = idp.token()
    yield Attack("signature cut off", "identity.token_malformed", good.rpartition(".")[0] + ".")
    yield Attack("signature of zeros", "identity.signature", good.rpartition(".")[0] + "." + b64(bytes(64)))
    yield Attack("signature of one byte", "identity.signature", good.rpartition(".")[0] + ".AA")
    for value in (1, None, ["ES256"], {"a": 1}, True, ABSENT):
        yield Attack(f"alg {value}", "identity.algorithm", idp.token(header={"alg": value}))


def confused(idp: Idp) -> Iterator[Attack]:
    """The issuer's public key as a shared secret, and one key's signature under another's name."""
    rsa_key = idp.signers["RS256"].private.public_key()
    forms = {
        "PEM": (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "PKCS1 PEM": (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        "DER": (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    }
    secrets = {name: rsa_key.public_bytes(*form) for name, form in forms.items()}
    secrets["PEM without end"] = secrets["PEM"].rstrip()
    secrets["JWK"] = json.dumps(idp.signers["RS256"].public_jwk()).encode()
    secrets["modulus"] = rsa_key.public_numbers().n.to_bytes(256)
    secrets["nothing"] = b""
    for name, secret in secrets.items():
        for alg, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            header = json.dumps(idp.header("RS256", alg=alg)).encode()
            text = f"{b64(header)}.{b64(json.dumps(idp.claims()).encode())}"
            mac = hmac.new(secret, text.encode(), digest).digest()
            yield Attack(f"{alg} with {name}", "identity.algorithm", f"{text}.{b64(mac)}")
    for own in ALGORITHMS:
        for other in ALGORITHMS:
            if own != other:
                kid = idp.signers[other].kid
                yield Attack(f"{own} under {other}'s kid", "identity.algorithm", idp.token(own, header={"kid": kid}))
                yield Attack(f"{own} says it is {other}", "identity.algorithm", idp.token(own, header={"alg": other}))
    for alg in ("ES384", "ES512", "RS384", "PS512", "ES256K", "ES521", "RSA1_5", "dir", "Ed448", "es256"):
        yield Attack(f"alg {alg}, which is not allowed", "identity.algorithm", idp.token(header={"alg": alg}))


def keys_from_the_token(idp: Idp) -> Iterator[Attack]:
    """A key the attacker brings along, in the header or under a name of ours."""
    own = Signer("ES256", "mine", ec.generate_private_key(ec.SECP256R1()))
    header = idp.header(kid="mine")
    payload = json.dumps(idp.claims()).encode()
    carried = {
        "jwk": own.public_jwk(),
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/cert.pem",
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "enc": "A128GCM",
        "cty": "JWT",
    }
    for name, value in carried.items():
        head = json.dumps({**header, name: value}).encode()
        yield Attack(f"header {name}", "identity.token_malformed", own.sign(head, payload))
        yield Attack(f"header {name}, well signed", "identity.token_malformed", idp.token(header={name: value}))
    named_like_ours = json.dumps(idp.header()).encode()
    yield Attack("another key under our kid", "identity.signature", own.sign(named_like_ours, payload))
    rsa_own = Signer("RS256", "rsa-1", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    yield Attack(
        "another RSA key under our kid",
        "identity.signature",
        rsa_own.sign(json.dumps(idp.header("RS256")).encode(), payload),
    )
    kids: list[Any] = ["../../dev/null", "' OR '1'='1", "|id", "ec-1\0", "EC-1", "", "a" * 900, "file:///etc/passwd"]
    for kid in kids:
        yield Attack(f"kid {str(kid)[:20]!r}", "identity.key_unknown", idp.token(header={"kid": kid}))
    for kid in (None, 1, ["ec-1"], {"a": 1}, True):
        yield Attack(f"kid {kid}", "identity.token_malformed", idp.token(header={"kid": kid}))
    yield Attack("no kid among several keys", "identity.key_unknown", idp.token(header={"kid": ABSENT}))


def kinds(idp: Idp) -> Iterator[Attack]:
    """Tokens made for another purpose."""
    others = ("JWT", "id_token+jwt", "oauth-id-jag+jwt", "secevent+jwt", "dpop+jwt", "logout+jwt", "", "at+jwt ", "at")
    for kind in (*others, "application/jwt", "pdp-grant+jwt"):
        yield Attack(f"typ {kind!r}", "identity.token_type", idp.token(header={"typ": kind}))
    for wrong in (None, 1, ["at+jwt"], ABSENT):
        yield Attack(f"typ {wrong}", "identity.token_type", idp.token(header={"typ": wrong}))
    for claim in ("at_hash", "c_hash", "s_hash"):
        yield Attack(f"an ID token's {claim}", "identity.token_type", one_claim(idp, claim, "x"))
    yield Attack("a security event", "identity.token_type", idp.token(events={"x": {}}))
    for purpose in ("ID", "Refresh", "Logout", 1):
        yield Attack(f"claim typ {purpose}", "identity.token_type", idp.token(typ=purpose))


def encodings(idp: Idp) -> Iterator[Attack]:
    """Everything that is not the one canonical form."""
    good = idp.token()
    header, payload, signature = good.split(".")
    forms = {
        "padding": f"{header}=.{payload}=.{signature}==",
        "leading space": f" {good}",
        "newline at the end": f"{good}\n",
        "line break inside": f"{header}.\r\n{payload}.{signature}",
        "two segments": f"{header}.{payload}",
        "four segments": f"{good}.{signature}",
        "five segments": f"{good}.{signature}.{signature}",
        "empty header": f".{payload}.{signature}",
        "empty payload": f"{header}..{signature}",
        "nothing": "",
        "dots": "..",
        "prefix": f"Bearer {good}",
        "JSON serialization": json.dumps({"payload": payload, "protected": header, "signature": signature}),
        "letters beyond ASCII": good.replace("e", "\u0435", 1),
        "full-width dot": good.replace(".", "\uff0e", 1),
        "NUL": good + "\0",
        "one lone surrogate": good + "\udc80",
        "percent encoding": good.replace(".", "%2E", 1),
        "bits left over": header + "." + payload + "." + leftover(signature),
        "a segment of a length that cannot be": f"{header}.{payload}.{signature}A"
        if len(signature) % 4 == 0
        else f"{header}.{payload}.{signature[: len(signature) // 4 * 4]}A",
    }
    for name, token in forms.items():
        yield Attack(name, "identity.token_malformed", token)
    standard = base64.b64encode(json.dumps(idp.claims(sub="??>>~~")).encode()).decode().rstrip("=")
    yield Attack("standard base64", "identity.token_malformed", f"{header}.{standard}+/.{signature}")


def leftover(segment: str) -> str:
    """Return another spelling of the same bytes: the unused bits of the last letter set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) | 1]


def json_tricks(idp: Idp) -> Iterator[Attack]:
    """Two readers must not see two tokens."""
    head = json.dumps(idp.header()).encode()
    body = json.dumps(idp.claims()).encode()
    payloads = {
        "sub twice": body[:-1] + b', "sub": "admin"}',
        "sub twice, escaped": body[:-1] + b', "s\\u0075b": "admin"}',
        "exp twice": body[:-1] + b', "exp": 99999999999}',
        "aud twice": body[:-1] + b', "aud": "x"}',
        "act.sub twice": body[:-1] + b', "act": {"sub": "a", "sub": "b"}}',
        "byte order mark": b"\xef\xbb\xbf" + body,
        "UTF-16": body.decode().encode("utf-16"),
        "bad UTF-8": body.replace(b"00u1", b"00\xff1"),
        "NaN": body.replace(b'"t-1"', b"NaN"),
        "Infinity": body.replace(b'"t-1"', b"Infinity"),
        "1e999": body.replace(b'"t-1"', b"1e999"),
        "trailing text": body + b"{}",
        "comment": body[:-1] + b"/* */}",
        "single quotes": body.replace(b'"', b"'"),
        "a list": b"[" + body + b"]",
        "text": b'"hello"',
        "null": b"null",
        "a number": b"1",
        "not JSON": b"hello",
        "half a surrogate pair": body.replace(b"00u1", b"\\ud800"),
        "fifty levels deep": body[:-1] + b', "x": ' + b"[" * 50 + b"]" * 50 + b"}",
        "five thousand levels deep": body[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        "a number of 5000 digits": body[:-1] + b', "x": ' + b"9" * 5000 + b"}",
        "a nested token": idp.token().encode(),
    }
    for name, payload in payloads.items():
        yield Attack(f"payload: {name}", "identity.token_malformed", raw(idp, head, payload))
    headers = {
        "alg twice": head[:-1] + b', "alg": "none"}',
        "alg twice, escaped": head[:-1] + b', "\\u0061lg": "none"}',
        "kid twice": head[:-1] + b', "kid": "x"}',
        "byte order mark": b"\xef\xbb\xbf" + head,
        "UTF-16": head.decode().encode("utf-16"),
        "a list": b"[]",
        "deep": head[:-1] + b', "x": ' + b"[" * 40 + b"]" * 40 + b"}",
        "longer than two kilobytes": head[:-1] + b', "x": "' + b"a" * 2000 + b'"}',
    }
    for name, header in headers.items():
        yield Attack(f"header: {name}", "identity.token_malformed", raw(idp, header, body))
    for size in (17_000, 100_000, 5_000_000):
        yield Attack(f"{size} letters", "identity.token_oversize", idp.token(padding="a" * size))


def who(idp: Idp) -> Iterator[Attack]:
    """Issuers, audiences and subjects that are nearly right."""
    nearly = [f"{ISSUER}/", ISSUER.upper(), f"{ISSUER}.evil.example", "http://idp.example", f" {ISSUER}", f"{ISSUER}\0"]
    for issuer in (*nearly, "", 1, None, [ISSUER], {"a": ISSUER}, "https://idp.example:443", ABSENT):
        yield Attack(f"iss {issuer!r}", "identity.issuer_unknown", idp.token(iss=issuer))
    others = [
        f"{AUDIENCE}/",
        AUDIENCE.upper(),
        AUDIENCE[:-1],
        f"{AUDIENCE}s",
        "*",
        "https://mcp.example",
        f" {AUDIENCE}",
    ]
    for audience in (*others, ["https://other.example"], [AUDIENCE + "/a", AUDIENCE + "/b"]):
        yield Attack(f"aud {audience!r}", "identity.audience", idp.token(aud=audience))
    malformed: list[Any] = ["", 1, None, [], {}, [1], [AUDIENCE, 1], [[AUDIENCE]], {"a": AUDIENCE}, True, ABSENT]
    for value in (*malformed, ["", AUDIENCE]):
        yield Attack(f"aud {value!r}", "identity.claims", idp.token(aud=value))
    for subject in ("", 1, None, ["a"], {"a": 1}, "a\0b", "a\nb", "\u202eadmin", "a" * 600, True, ABSENT):
        yield Attack(f"sub {subject!r}"[:40], "identity.claims", idp.token(sub=subject))
    for name in ("client_id", "jti"):
        for value in (ABSENT, "", 1, None, ["a"]):
            yield Attack(f"{name} {value!r}", "identity.claims", one_claim(idp, name, value))
    yield Attack("two clients", "identity.ambiguous", idp.token(azp="another-client"))
    bad: dict[str, list[Any]] = {
        "scope": [1, None, {"a": 1}, "a" * 5000, ["a", 1], "a\0b"],
        "sid": [1, None, "", ["s"], "a\0"],
        "amr": ["pwd", [1], {}, None],
        "authorization_details": [{}, "x", [1], None],
    }
    for name, values in bad.items():
        for value in values:
            yield Attack(f"{name} {value!r}"[:40], "identity.claims", one_claim(idp, name, value))


def times(idp: Idp) -> Iterator[Attack]:
    """Times that are past, to come, too far apart, or not times."""
    for name in ("exp", "iat"):
        for value in (ABSENT, None, str(NOW + 60), f"{NOW + 60}.0", True, [], {}, -1, "soon", ""):
            yield Attack(f"{name} {value!r}", "identity.claims", one_claim(idp, name, value))
    for name in ("nbf", "auth_time"):
        for value in (None, str(NOW), True, [], -5):
            yield Attack(f"{name} {value!r}", "identity.claims", one_claim(idp, name, value))
    yield Attack("expired", "identity.expired", idp.token(iat=NOW - 7200, exp=NOW - 31))
    yield Attack("expired to the second", "identity.expired", idp.token(iat=NOW - 7200, exp=NOW - 30))
    yield Attack("exp at the epoch", "identity.expired", idp.token(iat=0, exp=0))
    yield Attack("issued tomorrow", "identity.not_yet_valid", idp.token(iat=NOW + 80_000, exp=NOW + 80_060))
    yield Attack("not before in a minute", "identity.not_yet_valid", idp.token(nbf=NOW + 60))
    yield Attack("signed in later", "identity.not_yet_valid", idp.token(auth_time=NOW + 60))
    yield Attack("lives ten years", "identity.lifetime", idp.token(exp=NOW + 315_000_000))
    yield Attack("lives a day and a second", "identity.lifetime", idp.token(exp=NOW + 86_401))
    yield Attack("exp 9e99", "identity.lifetime", idp.token(exp=9e99))
    yield Attack("exp of 400 digits", "identity.claims", idp.token(exp=10**400))
    yield Attack("iat at the epoch", "identity.lifetime", idp.token(iat=0))


def actors(idp: Idp) -> Iterator[Attack]:
    """Delegation chains that are not chains."""
    malformed: list[Any] = ["bot", [], None, 1, True, {}, {"sub": ""}, {"sub": 1}, {"sub": None}, {"name": "bot"}]
    for act in (*malformed, {"sub": "bot", "act": "x"}, {"sub": "bot", "act": {}}, {"sub": "a\0b"}, [{"sub": "bot"}]):
        yield Attack(f"act {act!r}", "identity.claims", idp.token(act=act))
    yield Attack(
        "an actor of another issuer",
        "identity.claims",
        idp.token(act={"sub": "bot", "iss": "https://evil.example"}),
    )
    for depth in (5, 10):
        chain: dict[str, Any] = {"sub": "bot"}
        for _ in range(depth - 1):
            chain = {"sub": "bot", "act": chain}
        yield Attack(f"{depth} actors", "identity.claims", idp.token(act=chain))
    good = "a" * 43
    malformed = [{"jkt": "x"}, {"x5t#S256": "x"}, {}, None, "x", [good], {"jkt": None}, {"jkt": good + "="}]
    unknown: list[Any] = [{"jwk": {}}, {"kid": good}, {"JKT": good}, {"x5t": good}, {"osc": {}}]
    for cnf in (*malformed, *unknown, {"jkt": good, "x5t#S256": good}, {"jkt": good, "kid": "k"}):
        yield Attack(f"cnf {cnf!r}", "identity.binding", idp.token(cnf=cnf))
    for name in ("jkt", "x5t#S256"):
        yield Attack(f"bound by {name}, shown bare", "identity.sender_constraint", idp.token(cnf={name: good}))


def altered(idp: Idp) -> Iterator[Attack]:
    """A good token with one bit turned, or parts of two tokens."""
    for algorithm in ALGORITHMS:
        header, payload, signature = idp.token(algorithm).split(".")
        other = idp.token(algorithm, sub="admin").split(".")
        yield Attack(f"{algorithm}, payload swapped", "identity.signature", f"{header}.{other[1]}.{signature}")
        yield Attack(f"{algorithm}, signature swapped", "identity.signature", f"{header}.{payload}.{other[2]}")
        signed = bytearray(base64.urlsafe_b64decode(signature + "=="))
        for position in (0, len(signed) // 2, len(signed) - 1):
            turned = bytearray(signed)
            turned[position] ^= 1
            token = f"{header}.{payload}.{b64(bytes(turned))}"
            yield Attack(f"{algorithm}, bit of byte {position} turned", "identity.signature", token)
        yield Attack(
            f"{algorithm}, a byte more", "identity.signature", f"{header}.{payload}.{b64(bytes(signed) + b'0')}"
        )
    der = idp.signers["ES256"].private.sign(b"x", ec.ECDSA(hashes.SHA256()))
    header, payload, _ = idp.token().split(".")
    yield Attack("ECDSA signature in DER", "identity.signature", f"{header}.{payload}.{b64(der)}")
    yield Attack(
        "ECDSA r = s = 1", "identity.signature", f"{header}.{payload}.{b64(bytes(31) + b'1' + bytes(31) + b'1')}"
    )


FAMILIES: list[Callable[[Idp], Iterator[Attack]]] = [
    unsigned, confused, keys_from_the_token, kinds, encodings, json_tricks, who, times, actors, altered,
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.__name__))
async def test_every_hostile_token_is_refused_with_its_own_code(
    family: Callable[[Idp], Iterator[Attack]], idp: Idp, verifier: TokenVerifier
) -> None:
    wrong = []
    for attack in family(idp):
        try:
            await verifier.verify(attack.token, AUDIENCES)
        except Refused as refusal:
            if refusal.code != attack.code:
                wrong.append(f"{attack.name}: {refusal.code} ({refusal.note}), expected {attack.code}")
        else:
            wrong.append(f"{attack.name}: ACCEPTED")
    assert not wrong, "\n".join(wrong)


def test_there_are_more_than_two_hundred_hostile_tokens(idp: Idp) -> None:
    assert sum(1 for family in FAMILIES for _ in family(idp)) > 200


async def test_a_hostile_token_is_refused_again_when_it_comes_again(idp: Idp, verifier: TokenVerifier) -> None:
    for _ in range(3):
        with pytest.raises(Refused, match=r"identity\.signature"):
            await verifier.verify(idp.token()[:-4] + "AAAA", AUDIENCES)
