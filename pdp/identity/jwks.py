"""Read a key set: only keys that can safely verify signatures, each bound to one algorithm (RFC 7517, RFC 8725)."""

import re
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from .issuers import ALGORITHMS

MAX_KEYS = 64  # a set is a handful; a long one is a mistake or an attack on our memory
MAX_KID = 512
MIN_RSA_BITS = 2048  # NIST SP 800-131A
MAX_RSA_BITS = 8192  # verifying with more costs an attacker nothing and us a lot
MIN_RSA_EXPONENT = 65537  # FIPS 186-5, section 5.4
MAX_RSA_EXPONENT = 2**32
SECRETS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
ROCA_PRIMES = (  # an honest modulus fits all of them by chance once in 2**27
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97),
    *(101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)
PRINTABLE = re.compile(r"[\x20-\x7e]{1,512}")

Keys = dict[str | None, PyJWK]


def read_keys(document: Any, algorithms: Sequence[str]) -> Keys:
    """Return the usable keys by `kid`. Raises `ValueError` for a set that must not be trusted or has no usable key."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError("not a JWK set")
    if len(listed) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    if any(SECRETS & entry.keys() for entry in listed):
        raise ValueError("it publishes a secret key, so anyone may have it")
    keys: Keys = {}
    for entry in listed:
        key = _usable(entry, algorithms)
        if key is None:
            continue
        if key.key_id in keys:
            raise ValueError("two keys share a kid")
        keys[key.key_id] = key
    if not keys:
        raise ValueError("no key in it can verify a signature of the algorithms we allow")
    return keys


def pick(keys: Keys, kid: str | None) -> PyJWK | None:
    """Return the key a token names; a token that names none is served only by the only key there is."""
    if kid is not None:
        return keys.get(kid)
    return next(iter(keys.values())) if len(keys) == 1 else None


def _usable(entry: dict[str, Any], algorithms: Sequence[str]) -> PyJWK | None:
    """Return the key, or None for one that is published for something else or is too weak."""
    algorithm = _algorithm(entry, algorithms)
    if algorithm is None or not _is_for_signatures(entry) or not _has_plain_kid(entry):
        return None
    try:
        key = PyJWK(entry, algorithm)
    except (PyJWTError, TypeError, ValueError):
        return None
    if isinstance(key.key, RSAPublicKey) and not _is_strong(key.key):
        return None
    return key


def _algorithm(entry: dict[str, Any], algorithms: Sequence[str]) -> str | None:
    """One key, one algorithm: the one it declares, else the first allowed one that its type fits."""
    for algorithm in algorithms:
        kind = ALGORITHMS[algorithm]
        fits = entry.get("kty") == kind.kty and kind.crv in (
            None,
            entry.get("crv"),
        )  # what a stranger published may not hash
        if fits and entry.get("alg", algorithm) == algorithm:
            return algorithm
    return None


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _has_plain_kid(entry: dict[str, Any]) -> bool:
    kid = entry.get("kid", "none")
    return isinstance(kid, str) and PRINTABLE.fullmatch(kid) is not None


def _is_strong(key: RSAPublicKey) -> bool:
    numbers = key.public_numbers()
    exponent_fits = MIN_RSA_EXPONENT <= numbers.e < MAX_RSA_EXPONENT and numbers.e % 2 == 1
    return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS and exponent_fits and not _is_roca(numbers.n)


def _is_roca(modulus: int) -> bool:
    """Say whether a modulus has the fingerprint of CVE-2017-15361: a power of 65537 modulo every small prime."""
    return all(modulus % prime in _powers(prime) for prime in ROCA_PRIMES)


def _powers(prime: int) -> set[int]:
    return {pow(65537, exponent, prime) for exponent in range(prime - 1)}
