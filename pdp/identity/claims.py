"""Read the claims of a token whose signature was verified (RFC 7519, RFC 9068, RFC 8693): pure, and strict.

What does not depend on the time is read once a token; `check_times` and `check_audience` are asked at every use.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

from msgspec import Struct

from ..errors import Refused
from .issuers import STRICT_TYPE, Issuer, plain_type

MAX_TEXT = 512  # of one name; ids in the wild stay under 128
MAX_SCOPE_TEXT = 4096
MAX_LIST = 256  # audiences, scopes, methods, details
MAX_CHAIN = 4  # actors behind one another; a longer chain has lost whoever began it
NOT_ACCESS = frozenset({"at_hash", "c_hash", "s_hash", "events"})  # members of ID, logout and event tokens
AGENT_FACET = "11"  # of Entra's `xms_act_fct`
BINDINGS: dict[str, Literal["dpop", "mtls"]] = {"jkt": "dpop", "x5t#S256": "mtls"}
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # of SHA-256
NOT_ACCESS_TYP = frozenset({"id", "refresh", "offline", "logout"})  # what Keycloak writes into the claim `typ`


class Binding(Struct, frozen=True):
    """The key a token is bound to: the thumbprint of a DPoP key (RFC 7638) or of a certificate (RFC 8705)."""

    by: Literal["dpop", "mtls"]
    thumbprint: str


class VerifiedToken(Struct, frozen=True, kw_only=True):
    """What a verified token says. Times are seconds since 1970. `actors`: who acts, the one at the wheel first.

    `session` is the token's own id when it names no session.
    """

    issuer: str
    subject: str
    client: str
    audience: tuple[str, ...]
    scopes: tuple[str, ...]
    session: str
    session_named: bool
    issued_at: float
    expires_at: float
    not_before: float | None
    auth_time: float | None
    amr: tuple[str, ...]
    authorization_details: tuple[dict[str, Any], ...]
    actors: tuple[str, ...]
    binding: Binding | None = None

    @property
    def sender_constrained(self) -> Literal["dpop", "mtls", "none"]:
        """Say by what its holder proves to be the one it was issued to; the proof is asked for at every use."""
        return self.binding.by if self.binding else "none"


def read_claims(claims: dict[str, Any], kind: str, issuer: Issuer) -> VerifiedToken:
    """Read what the issuer vouches for. Raises `Refused` with an `identity.*` code; notes name claims, not values."""
    _check_purpose(claims)
    _check_tenant(claims, issuer)
    strict = plain_type(kind) == STRICT_TYPE
    token_id = _text(claims, issuer.id_claim, required=strict)
    client = _client(claims, issuer, required=strict or issuer.client_required)
    token = VerifiedToken(
        issuer=issuer.issuer,
        subject=_subject(claims, issuer, client),
        client=client,
        audience=_audience(claims),
        scopes=_scopes(claims, issuer.scope_claim),
        session=_text(claims, issuer.session_claim, required=False) or token_id,
        session_named=issuer.session_claim in claims,
        issued_at=_time(claims, "iat"),
        expires_at=_time(claims, "exp"),
        not_before=_time(claims, "nbf") if "nbf" in claims else None,
        auth_time=_time(claims, "auth_time") if "auth_time" in claims else None,
        amr=_texts(claims, "amr"),
        authorization_details=_details(claims),
        actors=_actors(claims, issuer) or _agent_by_facet(claims, issuer, client),
        binding=_binding(claims),
    )
    if token.expires_at - token.issued_at > issuer.max_lifetime_s:
        raise Refused("identity.lifetime", f"it lives longer than {issuer.max_lifetime_s} s")
    return token


def check_times(token: VerifiedToken, issuer: Issuer, now: datetime) -> None:
    """Raise `Refused` `identity.expired` or `identity.not_yet_valid`."""
    moment = now.timestamp()
    if moment >= token.expires_at + issuer.leeway_s:
        raise Refused("identity.expired")
    begins = max(token.issued_at, token.not_before or 0.0, token.auth_time or 0.0)
    if moment < begins - issuer.leeway_s:
        raise Refused("identity.not_yet_valid")


def check_audience(token: VerifiedToken, accepted: Sequence[str]) -> None:
    """Raise `Refused` `identity.audience` unless the token was issued for this server (RFC 8707, RFC 9068)."""
    if not set(accepted) & set(token.audience):
        note = f"the server accepts {list(accepted)} from {token.issuer}, the token is for {list(token.audience)}"
        raise Refused("identity.audience", note[:MAX_TEXT])


def _check_purpose(claims: dict[str, Any]) -> None:
    purpose = claims.get("typ", "bearer")
    foreign = NOT_ACCESS & claims.keys()
    if foreign or not isinstance(purpose, str) or purpose.lower() in NOT_ACCESS_TYP:
        raise Refused("identity.token_type", f"its claims are those of another kind: {sorted(foreign) or 'typ'}")


def _check_tenant(claims: dict[str, Any], issuer: Issuer) -> None:
    """Several tenants may share signing keys; the one that the issuer's name says is the one we trust."""
    if not issuer.tenant_claim:
        return
    if _text(claims, issuer.tenant_claim) not in urlsplit(issuer.issuer).path.split("/"):
        raise Refused("identity.tenant", f"`{issuer.tenant_claim}` is not in the issuer's name")


def _subject(claims: dict[str, Any], issuer: Issuer, client: str) -> str:
    """A client that acts for itself may have no person's claim (Okta): then both names are the client's."""
    if issuer.person_claim not in claims and client and claims.get("sub") == client:
        return client
    return _text(claims, issuer.person_claim)


def _client(claims: dict[str, Any], issuer: Issuer, *, required: bool) -> str:
    falls_back = issuer.client_fallback and issuer.client_claim not in claims
    client = _text(claims, issuer.client_fallback if falls_back else issuer.client_claim, required=required)
    for other in ("client_id", "azp"):
        named = _text(claims, other, required=False)
        if client and named and named != client:
            raise Refused("identity.ambiguous", f"`{issuer.client_claim}` and `{other}` name different clients")
    return client


def _actors(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """Read the `act` chain (RFC 8693, section 4.1): the outermost acts, those inside handed the task on."""
    actors: list[str] = []
    holder = claims
    while "act" in holder:
        actor = holder["act"]
        if not isinstance(actor, dict) or len(actors) == MAX_CHAIN:
            _refuse("act")
        if actor.get("iss", issuer.issuer) != issuer.issuer:
            _refuse("act.iss")  # one issuer does not vouch for another's names
        actors.append(_text(actor, "sub"))
        holder = actor
    return tuple(actors)


def _agent_by_facet(claims: dict[str, Any], issuer: Issuer, client: str) -> tuple[str, ...]:
    """Read Entra's word that the client is an agent acting for a person; one acting for itself is the subject."""
    facets = _text(claims, issuer.agent_facets_claim, required=False) if issuer.agent_facets_claim else ""
    return (client,) if AGENT_FACET in facets.split() and claims.get("idtyp") != "app" else ()


def _binding(claims: dict[str, Any]) -> Binding | None:
    """Read `cnf` (RFC 7800): exactly one member, and one that we can check."""
    if "cnf" not in claims:
        return None
    cnf = claims["cnf"]
    name, thumbprint = next(iter(cnf.items())) if isinstance(cnf, dict) and len(cnf) == 1 else ("", None)
    by = BINDINGS.get(name)
    if by is None or not isinstance(thumbprint, str) or not THUMBPRINT.fullmatch(thumbprint):
        raise Refused("identity.binding", f"`cnf` takes exactly one of {list(BINDINGS)}")
    return Binding(by=by, thumbprint=thumbprint)


def _text(claims: dict[str, Any], name: str, *, required: bool = True) -> str:
    """Return a name; an absent one is empty text when it is not required."""
    value = claims.get(name)
    if name not in claims and not required:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        _refuse(name)
    return value


def _texts(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_LIST:
        _refuse(name)
    if not all(isinstance(item, str) and len(item) <= MAX_TEXT and item.isprintable() for item in value):
        _refuse(name)
    return tuple(value)


def _audience(claims: dict[str, Any]) -> tuple[str, ...]:
    value = claims.get("aud")
    audience = (value,) if isinstance(value, str) else _texts(claims, "aud")
    if not audience or not all(audience):
        _refuse("aud")
    return audience


def _scopes(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name, "")
    if isinstance(value, list):
        return _texts(claims, name)
    if not isinstance(value, str) or len(value) > MAX_SCOPE_TEXT or not (value.isprintable() or not value):
        _refuse(name)
    return tuple(value.split())


def _details(claims: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    value = claims.get("authorization_details", [])
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(item, dict) for item in value):
        _refuse("authorization_details")
    return tuple(value)


def _time(claims: dict[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519, section 2): a number, never text that looks like one."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        _refuse(name)
    try:
        return float(value)
    except OverflowError:
        _refuse(name)


def _refuse(name: str) -> NoReturn:
    raise Refused("identity.claims", f"`{name}` is missing or not as it must be")
