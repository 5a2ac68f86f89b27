"""The token path: text, headers, claims and proofs become a verified token or a refusal; only the genuine is taken.

The first byte says what the rest is: a whole token; a header or a payload with the genuine rest; or claims that the
issuer really signs, which must be read as they are.
"""

import json
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from pdp.errors import Refused
from pdp.identity.claims import VerifiedToken
from pdp.identity.dpop import thumbprint_of
from pdp.identity.issuers import Issuer
from pdp.identity.possession import Shown
from pdp.identity.tokens import TokenVerifier
from pdp.query import Dpop
from tests.conftest import START, FakeClock
from tests.idp import AUDIENCE, ISSUER, Idp, Signer, b64

from . import strict

NOW = int(START.timestamp())
URL = "https://mcp.example/mcp"
AUDIENCES = {ISSUER: [AUDIENCE]}


class Stage:
    """An issuer with fixed keys, a verifier that trusts it, and the genuine tokens."""

    def __init__(self) -> None:
        curve = ec.derive_private_key(0x5EED, ec.SECP256R1())
        edwards = ed25519.Ed25519PrivateKey.from_private_bytes(b"a seed of thirty-two bytes here.")
        signers = {"ES256": Signer("ES256", "ec-1", curve), "EdDSA": Signer("EdDSA", "ed-1", edwards)}
        self.idp = Idp(START, signers=signers)
        self.holder = Signer(
            "EdDSA", "own", ed25519.Ed25519PrivateKey.from_private_bytes(b"another seed of thirty-two byte.")
        )
        jwk = {name: value for name, value in self.holder.public_jwk().items() if name in {"kty", "crv", "x"}}
        self.own_key = jwk
        self.bound = self.idp.token("EdDSA", cnf={"jkt": thumbprint_of(jwk)})
        self.genuine, self.other = self.idp.token("EdDSA"), self.idp.token("ES256")
        with tempfile.TemporaryDirectory() as folder:
            jwks = Path(folder) / "jwks.json"
            jwks.write_text(json.dumps(self.idp.jwks()))
            self.verifier = TokenVerifier(
                [Issuer(issuer=ISSUER, algorithms=("ES256", "EdDSA"), jwks_file=jwks)], FakeClock()
            )

    def proof(self, header: bytes | None = None, payload: bytes | None = None) -> str:
        """Return a proof by the holder's key: a good one unless its parts are given."""
        import hashlib

        ath = b64(hashlib.sha256(self.bound.encode()).digest())
        claims = {"jti": "p-1", "htm": "POST", "htu": URL, "iat": NOW, "ath": ath}
        head = {"alg": "EdDSA", "typ": "dpop+jwt", "jwk": self.own_key}
        return self.holder.sign(header or json.dumps(head).encode(), payload or json.dumps(claims).encode())


STAGE = Stage()
HEADER = json.dumps(STAGE.idp.header("EdDSA")).encode()
PAYLOAD = json.dumps(STAGE.idp.claims()).encode()
TEXT, HEAD, CLAIMS, SIGNED_HEAD, SIGNED_CLAIMS, PROOF, PROOF_HEAD, PROOF_CLAIMS = range(8)


def seeds() -> list[bytes]:
    """Return tokens and parts to begin with."""
    idp = STAGE.idp
    claims = [
        idp.claims(act={"sub": "client-7", "act": {"sub": "client-8"}}),
        idp.claims(aud=[AUDIENCE, "x"], scope=["a"], amr=["pwd"], nbf=NOW, auth_time=NOW),
        idp.claims(cnf={"jkt": "A" * 43}, authorization_details=[{"type": "x"}]),
        idp.claims(exp=1e300, iat=10**400),
        idp.claims(sub="\u0000\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
    ]
    ath = STAGE.proof().split(".")
    parts = [HEADER, PAYLOAD, *(json.dumps(value).encode() for value in claims)]
    texts = [
        STAGE.genuine,
        STAGE.other,
        STAGE.genuine + "=",
        ".".join(STAGE.genuine.split(".")[:2]) + ".",
        "...",
    ]
    given = [(TEXT, text.encode()) for text in texts] + [(kind, part) for part in parts for kind in range(1, 5)]
    proof_head, proof_claims = (_unb64(part) for part in ath[:2])
    given += [(PROOF, STAGE.proof().encode()), (PROOF_HEAD, proof_head), (PROOF_CLAIMS, proof_claims)]
    return [bytes([kind]) + part for kind, part in given]


def words() -> list[str]:
    """Return what a mutation may put in."""
    names = ("alg", "typ", "kid", "crit", "jwk", "zip", "b64", "iss", "sub", "aud", "exp", "iat", "nbf", "act", "cnf")
    values = (
        "none",
        "HS256",
        "ES256",
        "EdDSA",
        "at+jwt",
        "application/at+jwt",
        "dpop+jwt",
        "ec-1",
        "ed-1",
        "jkt",
        "x5t#S256",
    )
    return [
        *(json.dumps(name) + ":" for name in names),
        *(json.dumps(value) for value in values),
        "1e999",
        "1e300",
        "-1",
    ]


def check(data: bytes) -> None:
    """Raise `AssertionError`, or whatever the product should not have raised."""
    kind, rest = (data[0] % 8, data[1:]) if data else (0, b"")
    if kind >= PROOF:
        _check_proof(kind, rest)
        return
    text = _token(kind, rest)
    token = _verified(text, Shown())
    if token is None:
        return
    signed, genuine = text.rpartition(".")[0], {known.rpartition(".")[0] for known in (STAGE.genuine, STAGE.other)}
    assert kind in {SIGNED_HEAD, SIGNED_CLAIMS} or signed in genuine, "taken, but never signed"
    if signed not in genuine:
        _must_be_good(token, *(strict.read(_unb64(part)) for part in signed.split(".")))


def _token(kind: int, rest: bytes) -> str:
    _, payload, signature = STAGE.genuine.split(".")
    if kind == HEAD:
        return f"{b64(rest)}.{payload}.{signature}"
    if kind == CLAIMS:
        return f"{b64(HEADER)}.{b64(rest)}.{signature}"
    if kind == SIGNED_HEAD:
        return STAGE.idp.signers["EdDSA"].sign(rest, PAYLOAD)
    if kind == SIGNED_CLAIMS:
        return STAGE.idp.signers["EdDSA"].sign(HEADER, rest)
    return rest.decode("utf-8", "replace")


def _must_be_good(token: VerifiedToken, header: Any, claims: Any) -> None:
    """Look at what was signed with plain eyes."""
    assert header["alg"] == "EdDSA"
    assert header["kid"] == "ed-1"
    assert header["typ"].lower().removeprefix("application/") == "at+jwt"
    assert claims["iss"] == ISSUER == token.issuer
    assert AUDIENCE in (claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]])
    assert claims["exp"] > NOW - 31
    assert claims["iat"] < NOW + 31
    assert (token.subject, token.client) == (claims["sub"], claims["client_id"])
    assert token.actors == tuple(_chain(claims))


def _chain(claims: Any) -> list[str]:
    return [claims["act"]["sub"], *_chain(claims["act"])] if "act" in claims else []


def _check_proof(kind: int, rest: bytes) -> None:
    proof = rest.decode("utf-8", "replace")
    if kind != PROOF:
        proof = STAGE.proof(header=rest or b"{") if kind == PROOF_HEAD else STAGE.proof(payload=rest or b"{")
    STAGE.verifier._possession = type(STAGE.verifier._possession)()  # each proof is the first
    token = _verified(STAGE.bound, Shown(dpop=Dpop(proof=proof, method="POST", url=URL)))
    if token is None or kind == PROOF:
        assert token is None or proof.split(".")[2] == STAGE.proof().split(".")[2], "taken, but never made"
        return
    header, claims = (strict.read(_unb64(part)) for part in proof.split(".")[:2])
    assert (header["typ"].lower().removeprefix("application/"), header["alg"]) == ("dpop+jwt", "EdDSA")
    assert thumbprint_of(header["jwk"]) == thumbprint_of(STAGE.own_key)
    assert claims["htm"] == "POST"
    assert abs(claims["iat"] - NOW) <= 300


def _verified(text: str, shown: Shown) -> VerifiedToken | None:
    try:
        token: VerifiedToken = _finished(STAGE.verifier.verify(text, AUDIENCES, shown)).token
    except Refused as refusal:
        code = refusal.code
    else:
        return token
    assert code.startswith("identity."), code
    return None


def _finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits: the keys are in a file."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("verification waited for something")


def _unb64(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
