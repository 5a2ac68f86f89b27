"""Whoever holds a sender-constrained token: makes real DPoP proofs, and wrong ones on request."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pdp.identity.dpop import thumbprint_of
from pdp.identity.possession import Shown
from pdp.query import Dpop
from tests.idp import ABSENT, Signer, b64

URL = "https://mcp.example/mcp"


@dataclass
class Holder:
    """A client with its own key. `moment` is when its proofs are made."""

    moment: datetime
    signer: Signer

    def jwk(self) -> dict[str, Any]:
        """Return its public key, with nothing but the key."""
        published = self.signer.public_jwk()
        return {name: published[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in published}

    @property
    def cnf(self) -> dict[str, str]:
        """Return what an issuer writes into tokens for this client."""
        return {"jkt": thumbprint_of(self.jwk())}

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a good proof, with changes; `ABSENT` leaves a member out."""
        header = {"typ": "dpop+jwt", "alg": self.signer.algorithm, "jwk": self.jwk(), **changes}
        return {name: value for name, value in header.items() if value is not ABSENT}

    def claims(self, token: str, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good proof, with changes; `ABSENT` leaves one out."""
        claims = {
            "jti": "p-1",
            "htm": "POST",
            "htu": URL,
            "iat": int(self.moment.timestamp()),
            "ath": b64(hashlib.sha256(token.encode()).digest()),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ABSENT}

    def proof(self, token: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a signed proof: a good one, unless changes say otherwise."""
        head = json.dumps(self.header(**(header or {}))).encode()
        return self.signer.sign(head, json.dumps(self.claims(token, **claims)).encode())


def shown(proof: str, action: str = "sha256:a", method: str = "POST", url: str = URL) -> Shown:
    """Return a proof as the adapter hands it on, with the request it saw."""
    return Shown(dpop=Dpop(proof, method, url), action=action)
