"""Keys and signatures for tests: real ones, and what an attacker would write."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pdp.policy.archive import write_archive
from pdp.policy.sign import SIGNATURES

Files = dict[str, bytes]
MAKE: dict[str, Callable[[], Any]] = {
    "ed": ed25519.Ed25519PrivateKey.generate,
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


def private_key(file: Path, key: Any) -> Path:
    """Write a private key as openssl does, for its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def public_key(file: Path, key: Any) -> Path:
    """Write the public half of a private key."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return file


def saved(file: Path, files: Files) -> Path:
    """Write an archive of `files`."""
    file.write_bytes(write_archive(files))
    return file


def claims_of(files: Files) -> dict[str, Any]:
    """Return what the signature of a bundle says, unchecked."""
    (token,) = json.loads(files[SIGNATURES])["signatures"]
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def with_token(files: Files, *tokens: str) -> Files:
    """Return the files with other signatures."""
    return files | {SIGNATURES: json.dumps({"signatures": tokens}).encode()}


def token(claims: dict[str, Any], key: Any, algorithm: str, **header: Any) -> str:
    """Sign claims, whatever they are."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=header)


def by_hand(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Put a token together that no library would make."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
