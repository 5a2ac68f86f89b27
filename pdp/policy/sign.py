"""Signed bundles: who says that this is the policy, and when; in OPA's own format, so that a sidecar checks it too.

`.signatures.json` holds one JWT with the digest of every file (OPA, "Bundles", section "Signing"). OPA looks at the
files alone; we also demand the time of the signature (`iat`), because an old policy with a good signature is still old.
A signature says who, not that the policy is safe: it is checked again where it is loaded.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

import jwt
from msgspec import Struct

from ..errors import Refused
from ..identity.jose import Frame, read_frame
from ..identity.signature import check_signature
from ..query import digest
from ..times import rfc3339
from .archive import read_part, refused
from .fingerprint import fingerprint
from .keys import Keys, SigningKey
from .problem import PackRefused, Problem

SIGNATURES = ".signatures.json"
CONTENT_TAG = "mcp-pdp/signed-policy/v1"
LEEWAY_S = 60  # the clock of the machine that signs may be ahead of ours by this much
SIGN = "Sign it with `pdp policy build --sign`."
MOST_NAMED = 20  # of the files that differ: one is enough to refuse, and a page is enough to see which bundle it was
AGAIN = "Build and sign it again, and find out who changed it."


class Digest(Struct, frozen=True, forbid_unknown_fields=True):
    """The digest of one file."""

    name: str
    hash: str
    algorithm: Literal["SHA-256"]


class Claims(Struct, frozen=True, forbid_unknown_fields=True):
    """What a signature says. `keyid` is where `opa sign` puts the id of the key; a scope is somebody else's policy."""

    files: list[Digest]
    iat: int
    keyid: str | None = None
    scope: Literal[""] = ""
    iss: str | None = None


class Signatures(Struct, frozen=True, forbid_unknown_fields=True):
    """The file `.signatures.json`; OPA, too, accepts exactly one."""

    signatures: tuple[str]


class Signed(Struct, frozen=True):
    """A signature that holds: whose, from when (RFC 3339), and the digest of all that it covers."""

    key_id: str
    issued_at: str
    content: str


def sign(files: Mapping[str, bytes], key: SigningKey, now: datetime) -> dict[str, bytes]:
    """Return the files of a bundle with the signature of `key` beside them, made at `now`."""
    covered = [{"name": name, "hash": fingerprint(name, files[name]), "algorithm": "SHA-256"} for name in sorted(files)]
    payload = json.dumps({"files": covered, "iat": int(now.timestamp())}).encode()
    token = jwt.PyJWS().encode(payload, key.private, algorithm=key.algorithm, headers={"kid": key.id})
    return {**files, SIGNATURES: json.dumps({"signatures": [token]}).encode()}


def verify(files: Mapping[str, bytes], bundle: Path, keys: Keys, now: datetime) -> Signed:
    """Check the signature of a bundle and return what it says; `bundle` is named in refusals.

    Raises `PackRefused` unless one of `keys` signed exactly these files, and not later than `now`.
    """
    frame = _frame(files, bundle)
    claims = read_part(frame.payload, Claims, bundle, "the signature")
    key_id = _key_id(frame, claims, bundle)
    key = keys.get(key_id)
    if key is None:
        trusted = ", ".join(sorted(keys))
        instead = f"PDP_POLICY_KEYS has {trusted}: sign with one of these, or add the public key."
        raise refused(bundle, f"It is signed by {key_id!r}, a key that is not trusted here.", instead)
    if frame.algorithm != key.algorithm_name:
        what = f"Its signature says {frame.algorithm!r}, and the key {key_id} only makes {key.algorithm_name}."
        raise refused(bundle, what, SIGN)
    try:
        check_signature(frame, key)
    except Refused:
        raise refused(bundle, f"Its signature was not made by the key {key_id}.", AGAIN) from None
    if problems := [*islice(_differences(files, claims.files), MOST_NAMED)]:
        raise PackRefused(problems)
    return Signed(
        key_id, _issued_at(claims, bundle, now), digest(CONTENT_TAG, {item.name: item.hash for item in claims.files})
    )


def _frame(files: Mapping[str, bytes], bundle: Path) -> Frame:
    if SIGNATURES not in files:
        raise refused(bundle, "It is not signed, and PDP_POLICY_KEYS is set.", SIGN)
    (token,) = read_part(files[SIGNATURES], Signatures, bundle, SIGNATURES).signatures
    try:
        return read_frame(token)
    except Refused as refusal:
        raise refused(bundle, f"{SIGNATURES} in it cannot be read: {refusal.note}.", SIGN) from None


def _key_id(frame: Frame, claims: Claims, bundle: Path) -> str:
    named = {name for name in (frame.kid, claims.keyid) if name is not None}
    if len(named) != 1:
        raise refused(bundle, "Its signature does not name one key.", f"{SIGN} With opa: claim `keyid`.")
    return named.pop()


def _differences(files: Mapping[str, bytes], covered: list[Digest]) -> Iterator[Problem]:
    digests = {item.name: item.hash for item in covered}
    if len(digests) != len(covered):
        yield Problem(SIGNATURES, 0, "It names a file twice.", AGAIN)
    present = files.keys() - {SIGNATURES}
    for name in sorted(present | digests.keys()):
        if name not in digests:
            yield Problem(name, 0, "It was added after the bundle was signed.", AGAIN)
        elif name not in present:
            yield Problem(name, 0, "It was removed after the bundle was signed.", AGAIN)
        elif digests[name] != _fingerprint(name, files[name]):
            yield Problem(name, 0, "It was changed after the bundle was signed.", AGAIN)


def _fingerprint(name: str, body: bytes) -> str | None:
    try:
        return fingerprint(name, body)
    except (ValueError, RecursionError):
        return None


def _issued_at(claims: Claims, bundle: Path, now: datetime) -> str:
    if not 0 <= claims.iat <= now.timestamp() + LEEWAY_S:
        instead = "Correct the clock of this machine, or of the one that signed, and sign again."
        raise refused(bundle, f"It was signed at {claims.iat} (seconds since 1970), which is not yet.", instead)
    return rfc3339(datetime.fromtimestamp(claims.iat, UTC))
