"""Issuer profiles: how the access tokens of well-known issuers look (research identity.md, section 1.4). Data only.

A profile gives the defaults of an issuer's settings; whatever an operator sets wins. What people and agents may do is
never read from a token: groups, roles and permissions in it are ignored, because the store is the authority.
"""

from typing import Any, Literal, get_args

from .issuers import STRICT_TYPE, Issuer

ProfileName = Literal["rfc9068", "keycloak", "entra", "okta", "auth0", "generic"]

PROFILES: dict[ProfileName, dict[str, Any]] = {
    "rfc9068": {},  # the defaults of `Issuer` are the standard's
    "keycloak": {
        "token_types": ("JWT", STRICT_TYPE),
        "client_claim": "azp",
        "client_required": True,
    },
    "entra": {
        "token_types": ("JWT",),
        "person_claim": "oid",  # `sub` is another one for every application
        "client_claim": "azp",
        "client_fallback": "appid",  # version 1 tokens
        "client_required": True,
        "scope_claim": "scp",
        "id_claim": "uti",
        "tenant_claim": "tid",
        "agent_facets_claim": "xms_act_fct",
    },
    "okta": {
        "token_types": ("", "JWT", STRICT_TYPE, "okta-internal-at+jwt"),  # a custom server sends none
        "person_claim": "uid",  # `sub` is the login, which may be given to somebody else
        "client_claim": "cid",
        "client_required": True,
        "scope_claim": "scp",
    },
    "auth0": {
        "token_types": ("JWT", STRICT_TYPE),
        "client_claim": "azp",
        "client_fallback": "client_id",  # of the RFC 9068 token dialect
        "client_required": True,
    },
    "generic": {
        "token_types": ("JWT", STRICT_TYPE),
        "client_fallback": "azp",
    },
}
NAMES: tuple[ProfileName, ...] = get_args(ProfileName)


def issuer_as(profile: ProfileName, **settings: Any) -> Issuer:
    """Return an issuer as its profile says, but for the settings given."""
    return Issuer(**{**PROFILES[profile], **settings})
