"""An issuer with real keys, for tests: signs good tokens, and bad ones on request, down to the bytes."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://idp.example"
AUDIENCE = "https://mcp.example/payments"
ABSENT = object()
"""The value of a claim or header member to leave out."""


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Signer:
    """A key pair, its algorithm and its name."""

    algorithm: str
    kid: str
    private: Any

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half as an issuer publishes it."""
        kinds: dict[str, Any] = {"R": RSAAlgorithm, "P": RSAAlgorithm}
        kind = OKPAlgorithm if self.algorithm == "EdDSA" else kinds.get(self.algorithm[0], ECAlgorithm)
        jwk: dict[str, Any] = kind.to_jwk(self.private.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def sign(self, header: bytes, payload: bytes) -> str:
        """Sign exactly these bytes, whatever they are."""
        text = f"{b64(header)}.{b64(payload)}"
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        return f"{text}.{b64(algorithm.sign(text.encode(), self.private))}"


@dataclass
class Idp:
    """An issuer. `moment` is when its tokens are issued."""

    moment: datetime
    issuer: str = ISSUER
    signers: dict[str, Signer] = field(default_factory=dict)

    def jwks(self) -> dict[str, Any]:
        """Return the key set it publishes."""
        return {"keys": [signer.public_jwk() for signer in self.signers.values()]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good access token (RFC 9068), with changes; `ABSENT` leaves one out."""
        now = int(self.moment.timestamp())
        claims = {
            "iss": self.issuer,
            "sub": "00u1",
            "aud": AUDIENCE,
            "client_id": "web-app",
            "iat": now,
            "exp": now + 3600,
            "jti": "t-1",
            "sid": "s-1",
            "scope": "tools:call refunds",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ABSENT}

    def header(self, algorithm: str = "ES256", **changes: Any) -> dict[str, Any]:
        """Return the header of a good access token, with changes; `ABSENT` leaves one out."""
        header = {"alg": algorithm, "typ": "at+jwt", "kid": self.signers[algorithm].kid, **changes}
        return {name: value for name, value in header.items() if value is not ABSENT}

    def token(self, algorithm: str = "ES256", header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Return a signed token: a good one, unless changes say otherwise."""
        head = json.dumps(self.header(algorithm, **(header or {}))).encode()
        return self.signers[algorithm].sign(head, json.dumps(self.claims(**claims)).encode())


def make_signer(algorithm: str) -> Signer:
    """Return a fresh key pair for an algorithm."""
    if algorithm == "ES256":
        return Signer(algorithm, "ec-1", ec.generate_private_key(ec.SECP256R1()))
    if algorithm == "EdDSA":
        return Signer(algorithm, "ed-1", ed25519.Ed25519PrivateKey.generate())
    kid = "rsa-1" if algorithm.startswith("RS") else "pss-1"
    return Signer(algorithm, kid, rsa.generate_private_key(public_exponent=65537, key_size=2048))


def make_signers() -> dict[str, Signer]:
    """Return one fresh key pair for each family of algorithms."""
    return {algorithm: make_signer(algorithm) for algorithm in ("RS256", "PS256", "ES256", "EdDSA")}
