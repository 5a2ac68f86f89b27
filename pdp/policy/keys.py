"""The keys of a signed policy: one private key where it is built, the public ones of those we trust where it is served.

A key makes one kind of signature, which follows from what kind of key it is; the signature has no say in that.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from ..errors import Fault

MAX_PEM_BYTES = 16 * 1024  # an RSA key of 8192 bits has 7
LEAST_RSA_BITS = 2048  # NIST SP 800-131A
KINDS = "an Ed25519, EC P-256 or RSA (2048 bits or more) key in a PEM file"

Keys = Mapping[str, jwt.PyJWK]
"""The public keys that may have signed a policy, by their ids; each is bound to one algorithm."""


class SigningKey(NamedTuple):
    """A private key, the only algorithm it is used with, and the id that tells which public key belongs to it."""

    id: str
    algorithm: str
    private: Any


def read_signing_key(file: Path, key_id: str | None = None) -> SigningKey:
    """Read the private key in `file`; its id is the file's name without the ending unless `key_id` is given.

    Raises `Fault` when others may read the file, or when it is not such a key.
    """
    pem = _read(file)
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise Fault(f"{file} can be read by others: chmod 600 it, and consider it known if it was ever shared.")
    try:
        private = load_pem_private_key(pem, None)
    except TypeError:
        raise Fault(
            f"{file} is encrypted: give a key without a passphrase, from a place only the build reads."
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Fault(f"{file} is no private key: it must be {KINDS}.") from None
    algorithm, _ = _kind(private.public_key(), file)
    return SigningKey(key_id or file.stem, algorithm, private)


def read_keys(place: Path) -> Keys:
    """Read the public keys we trust: the PEM files of a folder, or one file; the id of a key is its file's stem.

    Raises `Fault` for a file that is not a public key, and when there is none at all.
    """
    if not place.exists():
        raise Fault(f"PDP_POLICY_KEYS names {place}, which is not there: correct it or unset it.")
    files = _files_in(place) if place.is_dir() else [place]
    if not files:
        raise Fault(f"PDP_POLICY_KEYS names {place}, which holds no key: put public keys there, NAME.pem each.")
    return {file.stem: _public(file) for file in files}


def _files_in(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    for file in files:
        if file.suffix != ".pem" or not file.is_file():
            raise Fault(f"{file} is not a PEM file: keep only public keys in PDP_POLICY_KEYS, NAME.pem each.")
    return files


def _public(file: Path) -> jwt.PyJWK:
    pem = _read(file)
    if b"PRIVATE KEY" in pem:
        raise Fault(f"{file} is a private key: whoever checks needs only the public one (openssl pkey -pubout).")
    try:
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Fault(f"{file} is no public key: it must be {KINDS}.") from None
    algorithm, jwk = _kind(public, file)
    return jwt.PyJWK(jwk, algorithm=algorithm)


def _kind(public: Any, file: Path) -> tuple[str, dict[str, Any]]:
    """Return the one algorithm of a public key, and the key as a JWK."""
    match public:
        case ed25519.Ed25519PublicKey():
            return "EdDSA", OKPAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return "ES256", ECAlgorithm.to_jwk(public, as_dict=True)
        case rsa.RSAPublicKey(key_size=bits) if bits >= LEAST_RSA_BITS:
            return "RS256", RSAAlgorithm.to_jwk(public, as_dict=True)
    raise Fault(f"{file} holds another kind of key: it must be {KINDS}.")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_PEM_BYTES)
    except OSError as error:
        raise Fault(f"The key {file} cannot be read ({error.strerror}): correct the path or its permissions.") from None
