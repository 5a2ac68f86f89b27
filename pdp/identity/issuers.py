"""Issuers: whose access tokens are accepted, and how their tokens look. Configuration, checked once at start."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from ..errors import Fault, Refused

MAX_LEEWAY_S = 30  # RFC 7519, section 4.1.4: "no more than a few minutes"; clocks that far apart need mending


class KeyKind(NamedTuple):
    """The type, and where it matters the curve, of the keys an algorithm works with."""

    kty: str
    crv: str | None


ALGORITHMS = {  # asymmetric only: a shared secret would let every verifier issue tokens
    "RS256": KeyKind("RSA", None),
    "RS384": KeyKind("RSA", None),
    "RS512": KeyKind("RSA", None),
    "PS256": KeyKind("RSA", None),
    "PS384": KeyKind("RSA", None),
    "PS512": KeyKind("RSA", None),
    "ES256": KeyKind("EC", "P-256"),
    "ES384": KeyKind("EC", "P-384"),
    "ES512": KeyKind("EC", "P-521"),
    "EdDSA": KeyKind("OKP", "Ed25519"),
}
NEVER_ACCESS_TOKENS = frozenset(  # a type made for another purpose, in every profile (RFC 8725, section 3.11)
    {
        "id_token+jwt",
        "oauth-id-jag+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "txntoken+jwt",
        "logout+jwt",
        "client-authentication+jwt",
        "pdp-grant+jwt",
    }
)
STRICT_TYPE = "at+jwt"  # a token of this type carries all that RFC 9068, section 2.2, requires


class Issuer(Struct, frozen=True, kw_only=True):
    """One issuer. Without `jwks_file` and `jwks_uri` its keys are discovered (RFC 8414, OpenID Connect Discovery).

    The last five come with a profile: `client_fallback` is read when `client_claim` is absent; `tenant_claim` must be
    a segment of the issuer's path; `agent_facets_claim` says that the client is an agent (Entra's `xms_act_fct`).
    """

    issuer: str
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    jwks_file: Path | None = None
    jwks_uri: str | None = None
    token_types: tuple[str, ...] = (STRICT_TYPE,)
    max_lifetime_s: int = 24 * 3600
    leeway_s: int = MAX_LEEWAY_S
    person_claim: str = "sub"
    client_claim: str = "client_id"
    scope_claim: str = "scope"
    session_claim: str = "sid"
    direct_clients: tuple[str, ...] = ()
    unsafe_any_client: bool = False
    sender_constraint: Literal["none", "required"] = "none"
    client_fallback: str = ""
    client_required: bool = False
    id_claim: str = "jti"
    tenant_claim: str = ""
    agent_facets_claim: str = ""

    @property
    def is_loopback(self) -> bool:
        """Say whether the issuer runs on this machine."""
        return is_loopback(self.issuer)

    def must_be_direct(self, client: str) -> None:
        """Raise `Refused` `identity.client_unknown` unless people call themselves through this client.

        An agent that nobody registered, or whose registration was lost, must not become the person it acts for.
        """
        if client not in self.direct_clients and not self.unsafe_any_client:
            raise Refused("identity.client_unknown", f"the client is no registered agent, nor one of {self.issuer}'s")


def checked_issuers(issuers: Iterable[Issuer]) -> dict[str, Issuer]:
    """Return the issuers by exact name. Raises `Fault` naming what is wrong with the configuration."""
    found: dict[str, Issuer] = {}
    for issuer in issuers:
        if issuer.issuer in found:
            raise Fault(f"PDP_ISSUERS names {issuer.issuer} twice: remove one.")
        _check(issuer)
        found[issuer.issuer] = issuer
    return found


def plain_type(name: str) -> str:
    """Return a token type as it compares: lower case, without `application/` (RFC 7515, section 4.1.9)."""
    return name.lower().removeprefix("application/")


def is_loopback(url: str) -> bool:
    """Say whether a URL leads to this machine, whoever reads it: programs disagree on what is before an @."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if "\\" in url or "@" in parts.netloc:
        return False
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_protected(url: str) -> bool:
    """Say whether what a URL returns comes from whom it names: https, or a process on this machine."""
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and is_loopback(url))


def _check(issuer: Issuer) -> None:
    name = issuer.issuer
    unknown = [algorithm for algorithm in issuer.algorithms if algorithm not in ALGORITHMS]
    if unknown or not issuer.algorithms:
        raise Fault(f"Issuer {name}: `algorithms` {unknown} are not accepted; choose from {', '.join(ALGORITHMS)}.")
    wrong = NEVER_ACCESS_TOKENS & {plain_type(kind) for kind in issuer.token_types}
    if wrong or not issuer.token_types:
        raise Fault(f"Issuer {name}: `token_types` {sorted(wrong)} are no access tokens; use {STRICT_TYPE} or JWT.")
    if not 0 <= issuer.leeway_s <= MAX_LEEWAY_S or issuer.max_lifetime_s <= 0:
        raise Fault(f"Issuer {name}: `leeway_s` takes 0 to {MAX_LEEWAY_S}, `max_lifetime_s` more than 0.")
    if issuer.jwks_file and issuer.jwks_uri:
        raise Fault(f"Issuer {name}: give `jwks_file` or `jwks_uri`, not both.")
    if not issuer.jwks_file and not is_protected(issuer.jwks_uri or name):
        raise Fault(f"Issuer {name}: its keys must come over https, or give a `jwks_file`.")
    if any(character.isspace() for character in name) or not name:
        raise Fault("PDP_ISSUERS: `issuer` is the exact text of the `iss` claim, without spaces.")
