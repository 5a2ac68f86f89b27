"""Take a compact JWS apart, strictly, before any library looks at it (RFC 7515, RFC 8725 and its successor draft).

Libraries forgive what they can read: padding, duplicate members, unknown critical headers, megabytes. Two readers
that forgive differently see two tokens. Here everything that is not the one canonical form is refused.
"""

import base64
import binascii
import re
from typing import Any

from msgspec import Struct

from ..errors import Refused, Rejected
from ..query import strict_json

MAX_TOKEN = 16 * 1024  # characters; access tokens in the wild stay under 8 KiB, most under 2
MAX_HEADER = 2 * 1024  # characters
MAX_DEPTH = 16  # nesting in header and payload
SEGMENTS = 3
ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
HOSTILE_HEADERS = frozenset(  # keys from the token itself, extensions and encodings that we do not take part in
    {"crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c", "cty"}
)


class Frame(Struct, frozen=True):
    """A well-formed compact JWS of which nothing is verified yet. `kind`: its `typ`, empty when it has none.

    `own_key`: the `jwk` of its header, which only a proof may carry (RFC 9449); None in every token.
    """

    text: str
    algorithm: str
    kid: str | None
    kind: str
    payload: bytes
    own_key: Any = None


def must_fit(text: str) -> None:
    """Raise `Refused` for a token that is not worth a closer look: too large, or not ASCII."""
    if len(text) > MAX_TOKEN:  # 1. size, before it costs us anything
        raise Refused("identity.token_oversize", f"more than {MAX_TOKEN} characters")
    if not text.isascii():
        raise _malformed("not ASCII")


def read_frame(text: str, *, carries_key: bool = False) -> Frame:
    """Take a token apart that fits. Raises `Refused` with an `identity.*` code for its form, type or algorithm."""
    segments = text.split(".")  # 2. three segments in the one canonical encoding
    if len(segments) != SEGMENTS or len(segments[0]) > MAX_HEADER:
        raise _malformed("not three segments with a short header")
    header_bytes, payload, _ = (_decode(segment) for segment in segments)
    header = read_object(header_bytes, "header")  # 3. no duplicates, and nothing in it that we would have to obey
    own_key = header.pop("jwk", None) if carries_key else None
    return Frame(
        text=text, algorithm=_algorithm(header), kid=_kid(header), kind=_kind(header), payload=payload, own_key=own_key
    )


def read_object(body: bytes, part: str) -> dict[str, Any]:
    """Read a JSON object strictly; `part` names it. Raises `Refused` `identity.token_malformed`."""
    try:
        value = strict_json(body, depth=MAX_DEPTH)
    except Rejected as rejected:
        raise _malformed(f"{part}: {rejected.title}") from None
    if not isinstance(value, dict):
        raise _malformed(f"the {part} is not an object")
    return value


def _decode(segment: str) -> bytes:
    if not ALPHABET.fullmatch(segment):
        raise _malformed("a segment is empty or not base64url")
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise _malformed("a segment is not base64url") from None
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise _malformed("a segment has bits left over")
    return decoded


def _algorithm(header: dict[str, Any]) -> str:
    hostile = HOSTILE_HEADERS & header.keys()
    if hostile:
        raise _malformed(f"the header has {sorted(hostile)}")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise Refused("identity.algorithm", "the header names no algorithm")
    return algorithm


def _kid(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise _malformed("`kid` is not text")
    return kid


def _kind(header: dict[str, Any]) -> str:
    kind = header.get("typ", "")
    if not isinstance(kind, str):
        raise Refused("identity.token_type", "`typ` is not text")
    return kind


def _malformed(note: str) -> Refused:
    return Refused("identity.token_malformed", note)
