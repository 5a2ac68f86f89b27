"""A loopback token issuer with real keys: discovery, a key set, and access tokens of RFC 9068 shape.

For development and tests. It asks nobody who they are: whoever can run it can be anybody.
"""

import json
import os
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ALGORITHMS = ("EdDSA", "ES256", "RS256")
RSA_BITS = 2048
LIFETIME = timedelta(hours=8)  # a working day


class DevIssuer(Struct, frozen=True):
    """An issuer by the exact name `url`, and its private keys by algorithm."""

    url: str
    keys: dict[str, PrivateKey]

    def mint(
        self,
        subject: str,
        *,
        audience: str | Sequence[str],
        client: str,
        now: datetime,
        lifetime: timedelta = LIFETIME,
        actor: str | None = None,
        scopes: Sequence[str] = (),
        session: str | None = None,
        algorithm: str = "EdDSA",
        extra: dict[str, Any] | None = None,
    ) -> str:
        """Return an access token (RFC 9068). `actor` acts for `subject` (RFC 8693, `act`); `extra` claims win."""
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": subject,
            "aud": audience if isinstance(audience, str) else list(audience),
            "client_id": client,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": secrets.token_urlsafe(16),
            "sid": session or f"{subject}-{client}",
        }
        claims |= (
            {"auth_time": int(now.timestamp())} if subject != client else {}
        )  # a client by itself has not signed in
        claims |= {"act": {"sub": actor}} if actor else {}
        claims |= {"scope": " ".join(scopes)} if scopes else {}
        headers = {"typ": "at+jwt", "kid": _key_id(algorithm)}
        return jwt.encode(claims | (extra or {}), self.keys[algorithm], algorithm=algorithm, headers=headers)

    def id_token(self, subject: str, client: str, nonce: str, now: datetime) -> str:
        """Return an ID token (OpenID Connect Core, section 2), which says to `client` who signed in."""
        when = {"iat": int(now.timestamp()), "exp": int((now + LIFETIME).timestamp())}
        claims = {"iss": self.url, "sub": subject, "aud": client, "nonce": nonce, **when}
        return jwt.encode(claims, self.keys["EdDSA"], algorithm="EdDSA", headers={"kid": _key_id("EdDSA")})

    def key_set(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517)."""
        return {"keys": [_public(algorithm, key) for algorithm, key in self.keys.items()]}

    def metadata(self) -> dict[str, Any]:
        """Return what discovery says (RFC 8414, section 2)."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks.json",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": True,
        }


def open_issuer(directory: Path, url: str) -> DevIssuer:
    """Return the issuer whose keys are in `directory`; makes them (0600) the first time, so that tokens stay valid."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = {algorithm: _kept_key(directory / f"{algorithm.lower()}.pem", algorithm) for algorithm in ALGORITHMS}
    return DevIssuer(url, keys)


def issuer_app(issuer: DevIssuer, more: Sequence[Route] = ()) -> Starlette:
    """Return the issuer's ASGI application: two discovery documents, the key set, and `more`."""

    async def metadata(_request: Request) -> Response:
        return JSONResponse(issuer.metadata())

    async def keys(_request: Request) -> Response:
        return JSONResponse(issuer.key_set())

    return Starlette(
        routes=[
            Route("/.well-known/oauth-authorization-server", metadata),
            Route("/.well-known/openid-configuration", metadata),
            Route("/jwks.json", keys),
            *more,
        ]
    )


def write_private(path: Path, text: str) -> None:
    """Write a secret that only we may read."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _kept_key(path: Path, algorithm: str) -> PrivateKey:
    if not path.exists():
        made = _new_key(algorithm)
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, PrivateKey):
        raise TypeError(f"{path} is not a signing key: remove it, and it is made again")
    return key


def _new_key(algorithm: str) -> PrivateKey:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _public(algorithm: str, key: PrivateKey) -> dict[str, Any]:
    writers: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}
    jwk: dict[str, Any] = json.loads(writers[algorithm].to_jwk(key.public_key()))
    return {**{name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}, **_named(algorithm)}


def _named(algorithm: str) -> dict[str, str]:
    return {"kid": _key_id(algorithm), "alg": algorithm, "use": "sig"}


def _key_id(algorithm: str) -> str:
    return f"dev-{algorithm.lower()}"
