"""The demo's token issuer, without a server: `keys` makes a key pair, `mint` signs one access token (RFC 9068).

The private key stays in a volume that only this service mounts; the PDP reads the public key set from another.
"""

import argparse
import json
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ISSUER = "https://issuer.demo.invalid"  # the top-level domain that never exists (RFC 2606)
PRIVATE = Path("/run/pdp/key/private.pem")
PUBLIC = Path("/run/pdp/issuer/jwks.json")
LIFETIME_S = 600  # an access token's usual order of magnitude


def make_keys() -> None:
    """Make the key pair, unless there is one."""
    if PRIVATE.exists() and PUBLIC.exists():
        return
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    PRIVATE.touch(mode=0o600)
    PRIVATE.write_bytes(pem)
    public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    PUBLIC.write_text(json.dumps({"keys": [{**public, "kid": "demo", "use": "sig", "alg": "EdDSA"}]}))


def mint(args: argparse.Namespace) -> str:
    """Return an access token as the arguments say."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": args.subject,
        "aud": args.audience,
        "client_id": args.client,
        "scope": args.scope,
        "iat": now,
        "exp": now + LIFETIME_S,
        "jti": uuid.uuid4().hex,
    }
    if args.actor:
        claims["act"] = {"sub": args.actor}
    return jwt.encode(claims, PRIVATE.read_bytes(), "EdDSA", headers={"typ": "at+jwt", "kid": "demo"})


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keys")
    minting = commands.add_parser("mint")
    minting.add_argument("subject")
    minting.add_argument("--audience", required=True)
    minting.add_argument("--client", default="demo-client")
    minting.add_argument("--actor", help="The agent that acts for the subject.")
    minting.add_argument("--scope", default="")
    args = parser.parse_args()
    if args.command == "keys":
        make_keys()
    else:
        print(mint(args))


if __name__ == "__main__":
    main()
