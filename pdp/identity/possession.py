"""Check that a token is shown by whom it was issued to: DPoP (RFC 9449) or a client certificate (RFC 8705)."""

import hmac
from datetime import datetime

from msgspec import Struct

from ..errors import Refused
from ..query import Dpop, Query, action_digest
from .claims import Binding, VerifiedToken
from .dpop import check_proof
from .issuers import Issuer
from .replays import Replays


class Shown(Struct, frozen=True):
    """What came with a token: a proof, the thumbprint of a certificate, and the digest of the call it came for."""

    dpop: Dpop | None = None
    certificate_thumbprint: str | None = None
    action: str = ""


def shown_with(query: Query) -> Shown:
    """Return what a query shows with its token. `ath` ties a proof to one caller, so the action needs no names."""
    caller = query.caller
    bare = caller.dpop is None
    action = "" if bare else action_digest(person=None, agent=None, tool=query.tool, arguments=query.arguments)
    return Shown(dpop=caller.dpop, certificate_thumbprint=caller.certificate_thumbprint, action=action)


class Possession:
    """Checks the sender constraint of a token at every use."""

    def __init__(self) -> None:
        self._replays = Replays()

    def check(self, text: str, token: VerifiedToken, issuer: Issuer, shown: Shown, now: datetime) -> None:
        """Raise `Refused` `identity.sender_constraint`, `identity.certificate` or `identity.proof_*`."""
        binding = token.binding
        if binding is None:
            _check_unbound(issuer, shown)
        elif binding.by == "mtls":
            _check_certificate(binding, shown)
        elif shown.dpop is None:
            raise Refused("identity.sender_constraint", "the token is bound by DPoP, and no proof was shown")
        else:
            proof = check_proof(shown.dpop, text, binding.thumbprint, now)  # P1. to P7.
            self._replays.use(proof, shown.action, now)  # P8.


def _check_unbound(issuer: Issuer, shown: Shown) -> None:
    if issuer.sender_constraint == "required":
        raise Refused("identity.sender_constraint", "the issuer's tokens must have `cnf`")
    if shown.dpop is not None:  # RFC 9449, section 7.1: its sender takes the token for one that a thief cannot use
        raise Refused("identity.sender_constraint", "a proof was shown, but the token is bound to no key")


def _check_certificate(binding: Binding, shown: Shown) -> None:
    if shown.certificate_thumbprint is None:
        raise Refused("identity.sender_constraint", "the token is bound to a certificate, and none was seen")
    if not hmac.compare_digest(shown.certificate_thumbprint.encode(), binding.thumbprint.encode()):
        raise Refused("identity.certificate")
