"""Check DPoP proofs (RFC 9449, section 4.3): pure, numbered, each check with its own refusal.

P1. form, as strict as a token       P5. signature by that key
P2. type and algorithm               P6. claims: method, address, token
P3. a public key in its header       P7. time
P4. the key the token is bound to    P8. used for one call only (`replays.py`)
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from jwt import PyJWK
from msgspec import Struct

from ..errors import Refused
from ..query import Dpop
from .issuers import ALGORITHMS, MAX_LEEWAY_S, plain_type
from .jose import Frame, must_fit, read_frame, read_object
from .jwks import pick, read_keys
from .signature import check_signature

TYPE = "dpop+jwt"
MAX_AGE_S = 60  # RFC 9449, section 11.1: short, because a proof is made for one request
MAX_ID = 512  # characters of `jti` and `htm`
MAX_URL = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}
THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}  # RFC 7638
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, section 2.3
AS_PROOF: Final = {  # what the strict readers say of a token, said of a proof
    "identity.token_oversize": "identity.proof_malformed",
    "identity.token_malformed": "identity.proof_malformed",
    "identity.token_type": "identity.proof_type",
    "identity.algorithm": "identity.proof_algorithm",
    "identity.signature": "identity.proof_signature",
}


class Proven(Struct, frozen=True):
    """A proof that fits its token and request: `id` names it among all proofs of all keys.

    `issued_at`: when it says it was made, in seconds since 1970.
    """

    id: bytes
    thumbprint: str
    issued_at: float


def check_proof(shown: Dpop, token: str, thumbprint: str, now: datetime) -> Proven:
    """Return the proof that the holder of `thumbprint`'s key made for this token and request, just now.

    Raises `Refused` `identity.proof_*`. Whether it was used before is not asked here: `Replays` knows.
    """
    try:
        return _check(shown, token, thumbprint, now)
    except Refused as refusal:
        raise Refused(AS_PROOF.get(refusal.code, refusal.code), refusal.note) from None


def thumbprint_of(jwk: dict[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a public key (RFC 7638)."""
    members = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    return _b64(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def _check(shown: Dpop, token: str, thumbprint: str, now: datetime) -> Proven:
    must_fit(shown.proof)  # P1.
    frame = read_frame(shown.proof, carries_key=True)
    claims = read_object(frame.payload, "payload")
    _check_kind(frame)  # P2.
    key = _key(frame)  # P3.
    if not hmac.compare_digest(thumbprint_of(frame.own_key), thumbprint):  # P4.
        raise Refused("identity.proof_key_other")
    check_signature(frame, key)  # P5.
    _check_request(claims, shown, token)  # P6.
    issued_at = _time(claims, now)  # P7.
    return Proven(id=_id(claims, thumbprint), thumbprint=thumbprint, issued_at=issued_at)


def _check_kind(frame: Frame) -> None:
    if plain_type(frame.kind) != TYPE:
        raise Refused("identity.proof_type", f"`typ` is not {TYPE}")
    if frame.algorithm not in ALGORITHMS:
        raise Refused("identity.proof_algorithm", f"choose from {list(ALGORITHMS)}")


def _key(frame: Frame) -> PyJWK:
    """Return the key of the header, read as strictly as an issuer's: public, strong, for signatures."""
    try:
        key = pick(read_keys({"keys": [frame.own_key]}, (frame.algorithm,)), None)
    except ValueError as error:
        raise Refused("identity.proof_key", str(error)) from None
    if key is None:
        raise AssertionError("a set of one key has one key")
    return key


def _check_request(claims: dict[str, Any], shown: Dpop, token: str) -> None:
    if _text(claims, "htm", MAX_ID) != shown.method:
        raise Refused("identity.proof_method", "`htm` is not the method of the request")
    if _normalised(_text(claims, "htu", MAX_URL), "htu") != _normalised(shown.url, "url"):
        raise Refused("identity.proof_url", "`htu` is not the address of the request")
    expected = _b64(hashlib.sha256(token.encode("ascii")).digest())
    if not hmac.compare_digest(_text(claims, "ath", MAX_ID).encode(), expected.encode()):
        raise Refused("identity.proof_token", "`ath` is not the digest of the token")


def _time(claims: dict[str, Any], now: datetime) -> float:
    issued_at = claims.get("iat")
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise Refused("identity.proof_claims", "`iat` is not a number")
    moment = now.timestamp()
    if not moment - MAX_AGE_S <= issued_at <= moment + MAX_LEEWAY_S:  # compared, never computed with: it may be huge
        raise Refused("identity.proof_time", f"`iat` is not within {MAX_AGE_S} s before now")
    return float(issued_at)


def _id(claims: dict[str, Any], thumbprint: str) -> bytes:
    return hashlib.sha256(f"{thumbprint}.{_text(claims, 'jti', MAX_ID)}".encode()).digest()


def _text(claims: dict[str, Any], name: str, limit: int) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
        raise Refused("identity.proof_claims", f"`{name}` is missing or not as it must be")
    return value


def _normalised(url: str, name: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host, port and path as they compare (RFC 9449, section 4.3; RFC 3986, section 6.2.2)."""
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url and len(url) <= MAX_URL
    try:
        parts = urlsplit(url if plain else "")
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        raise Refused("identity.proof_url", f"`{name}` is not a URL") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise Refused("identity.proof_url", f"`{name}` is not an http(s) URL")
    return parts.scheme, parts.hostname, port, _plain_path(parts.path or "/")


def _plain_path(path: str) -> str:
    """Spell percent-encodings in the one way; dots and doubled slashes stay, so they must be equal to be taken."""
    head, *rest = path.split("%")
    return head + "".join(_decoded(part[:2]) + part[2:] for part in rest)


def _decoded(pair: str) -> str:
    try:
        character = bytes.fromhex(pair).decode("latin-1")
    except ValueError:
        raise Refused("identity.proof_url", "a percent sign without its two digits") from None
    return character if character in UNRESERVED else f"%{pair.upper()}"


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
