"""Access tokens shaped like those of the issuers we know: what each sends, and what must be read from it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pdp.identity.profiles import ProfileName
from tests.conftest import START
from tests.idp import ABSENT

NOW = int(START.timestamp())
TENANT = "8f6f9f8e-3b1c-4b7e-9a53-6d1f0c2b7a11"
ISSUERS: dict[ProfileName, str] = {
    "rfc9068": "https://as.example",
    "keycloak": "https://sso.example/realms/corp",
    "entra": f"https://login.microsoftonline.example/{TENANT}/v2.0",
    "okta": "https://corp.okta.example/oauth2/default",
    "auth0": "https://corp.auth0.example/",
    "generic": "https://tokens.example",
}
NOTHING = dict.fromkeys(("client_id", "jti", "sid", "scope"), ABSENT)


class Sample(NamedTuple):
    """A token of a profile: its header, its claims, and what must be read: subject, client, scopes, session, actors."""

    profile: ProfileName
    name: str
    header: dict[str, Any]
    claims: dict[str, Any]
    reads: tuple[str, str, tuple[str, ...], str, tuple[str, ...]]


def samples() -> Iterator[Sample]:
    """Yield every shape of every profile."""
    for family in (rfc9068, keycloak, entra, okta, auth0, generic):
        yield from family()


def varied(
    profile: ProfileName, header: dict[str, Any], base: dict[str, Any], reads: tuple[Any, ...], rows: dict[str, Any]
) -> Iterator[Sample]:
    """Yield a shape and its variations: a row changes claims, and by position what is read."""
    yield Sample(profile, "plain", header, base, reads)
    for name, (claims, changes) in rows.items():
        read = tuple(changes.get(i, value) for i, value in enumerate(reads))
        yield Sample(profile, name, {**header, **claims.get("HEADER", {})}, _merged(base, claims), read)


def _merged(base: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **claims}.items() if name != "HEADER"}


ACT = {"act": {"sub": "bot-1"}}
CHAIN = {"act": {"sub": "bot-1", "act": {"sub": "bot-2"}}}
DETAILS = {"authorization_details": [{"type": "mcp_tool_call", "server": "payments"}]}
COMMON: dict[str, Any] = {  # what any issuer may add
    "with an actor": (ACT, {4: ("bot-1",)}),
    "with a chain of actors": (CHAIN, {4: ("bot-1", "bot-2")}),
    "with authorization details": (DETAILS, {}),
    "with a sign-in time": ({"auth_time": NOW - 600, "amr": ["pwd", "mfa"], "acr": "1"}, {}),
    "for several servers": ({"aud": ["https://mcp.example/payments", "https://other.example"]}, {}),
    "not valid before now": ({"nbf": NOW}, {}),
}


def rfc9068() -> Iterator[Sample]:
    """The standard (RFC 9068, section 2.2)."""
    base = {"sub": "u-1", "client_id": "web", "jti": "t-1", "sid": ABSENT, "scope": "a b"}
    rows = {
        **COMMON,
        "long form of the type": ({"HEADER": {"typ": "application/at+jwt"}}, {}),
        "with a session": ({"sid": "s-1"}, {3: "s-1"}),
        "without scopes": ({"scope": ABSENT}, {2: ()}),
        "a client for itself": ({"sub": "web"}, {0: "web"}),
        "with groups and roles": ({"groups": ["g"], "roles": ["admin"], "entitlements": ["x"]}, {}),
    }
    yield from varied("rfc9068", {"typ": "at+jwt"}, base, ("u-1", "web", ("a", "b"), "t-1", ()), rows)


def keycloak() -> Iterator[Sample]:
    """Keycloak 26: `typ` JWT in the header, Bearer or DPoP among the claims, `azp` for the client."""
    base = {
        **NOTHING,
        "exp": NOW + 300,
        "jti": "onrtac:5d1f",
        "sub": "f3b1",
        "typ": "Bearer",
        "azp": "mcp-client",
        "sid": "9d2c",
        "acr": "1",
        "allowed-origins": ["https://app.example"],
        "realm_access": {"roles": ["offline_access"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "scope": "openid profile tools:call",
        "email_verified": True,
        "preferred_username": "alice",
    }
    rows = {
        **COMMON,
        "bound by DPoP, by its claim": ({"typ": "DPoP"}, {}),
        "a service account": (
            {"sub": "c7a2", "azp": "robot", "client_id": "robot", "clientHost": "10.0.0.1", "sid": ABSENT},
            {0: "c7a2", 1: "robot", 3: "onrtac:5d1f"},
        ),
        "with groups": ({"groups": ["/staff", "/staff/support"]}, {}),
        "of type at+jwt": ({"HEADER": {"typ": "at+jwt"}}, {}),
        "without scopes": ({"scope": ""}, {2: ()}),
    }
    reads = ("f3b1", "mcp-client", ("openid", "profile", "tools:call"), "9d2c", ())
    yield from varied("keycloak", {"typ": "JWT"}, base, reads, rows)


def entra() -> Iterator[Sample]:
    """Microsoft Entra ID, versions 2 and 1 (Microsoft's access token claims reference)."""
    base = {
        **NOTHING,
        "aio": "AX",
        "azp": "11111111-app",
        "azpacr": "1",
        "name": "Alice",
        "oid": "22222222-oid",
        "preferred_username": "alice@corp.example",
        "rh": "0.A",
        "scp": "Tools.Call Refunds",
        "sid": "33333333-sid",
        "sub": "pairwise-1",
        "tid": TENANT,
        "uti": "uti-1",
        "ver": "2.0",
    }
    agent = "11111111-app"
    rows = {
        **COMMON,
        "version 1": (
            {"azp": ABSENT, "azpacr": ABSENT, "appid": "app-v1", "appidacr": "1", "ver": "1.0"},
            {1: "app-v1"},
        ),
        "without a session": ({"sid": ABSENT}, {3: "uti-1"}),
        "an agent for a person": ({"xms_act_fct": "9 11 3", "xms_sub_fct": "2"}, {4: (agent,)}),
        "facets that are no agent's": ({"xms_act_fct": "9 3 111"}, {}),
        "an agent for itself": (
            {"idtyp": "app", "xms_act_fct": "11", "scp": ABSENT, "sid": ABSENT, "roles": ["Tools.Call.All"]},
            {2: (), 3: "uti-1"},
        ),
        "with group ids": ({"groups": [f"{i:08}-g" for i in range(150)], "wids": ["x"]}, {}),
        "with a thumbprint in the header": ({"HEADER": {"x5t": "abc", "nonce": "n"}}, {}),
    }
    reads = ("22222222-oid", agent, ("Tools.Call", "Refunds"), "33333333-sid", ())
    yield from varied("entra", {"typ": "JWT"}, base, reads, rows)


def okta() -> Iterator[Sample]:
    """Okta, a custom authorization server: no `typ`, scopes in a list, the person in `uid`."""
    base = {
        **NOTHING,
        "ver": 1,
        "jti": "AT.abc",
        "cid": "0oa1",
        "uid": "00u1",
        "scp": ["openid", "tools:call"],
        "sub": "alice@corp.example",
        "auth_time": NOW - 60,
    }
    rows = {
        **COMMON,
        "with a type": ({"HEADER": {"typ": "JWT"}}, {}),
        "a client for itself": (
            {"uid": ABSENT, "auth_time": ABSENT, "sub": "0oa1", "scp": ["tools:call"]},
            {0: "0oa1", 2: ("tools:call",)},
        ),
        "of the org's server": ({"HEADER": {"typ": "application/okta-internal-at+jwt"}}, {}),
        "with groups": ({"groups": ["Everyone", "Support"]}, {}),
        "with a session": ({"sid": "102"}, {3: "102"}),
    }
    yield from varied("okta", {"typ": ABSENT}, base, ("00u1", "0oa1", ("openid", "tools:call"), "AT.abc", ()), rows)


def auth0() -> Iterator[Sample]:
    """Auth0: its own dialect with `azp`, and that of RFC 9068."""
    base = {
        **NOTHING,
        "sub": "auth0|5f7c",
        "azp": "spa-1",
        "scope": "openid tools:call",
        "permissions": ["refund:create"],
        "aud": ["https://mcp.example/payments", "https://corp.auth0.example/userinfo"],
    }
    standard = {"HEADER": {"typ": "at+jwt"}, "azp": ABSENT, "client_id": "spa-1", "jti": "t-5"}
    rows = {
        **COMMON,
        "of RFC 9068": (standard, {3: "t-5"}),
        "of RFC 9068, with an actor": ({**standard, **ACT}, {3: "t-5", 4: ("bot-1",)}),
        "a client for itself": (
            {"sub": "m2m-1@clients", "azp": "m2m-1", "gty": "client-credentials", "scope": "tools:call"},
            {0: "m2m-1@clients", 1: "m2m-1", 2: ("tools:call",)},
        ),
        "of an organization": ({"org_id": "org_1", "org_name": "corp"}, {}),
        "with a name of its own": ({"https://corp.example/roles": ["admin"]}, {}),
    }
    yield from varied("auth0", {"typ": "JWT"}, base, ("auth0|5f7c", "spa-1", ("openid", "tools:call"), "", ()), rows)


def generic() -> Iterator[Sample]:
    """Any other issuer."""
    base = {**NOTHING, "sub": "u-9", "client_id": "web", "jti": "t-9", "scope": "a"}
    rows = {
        **COMMON,
        "client in azp": ({"client_id": ABSENT, "azp": "spa"}, {1: "spa"}),
        "no client": ({"client_id": ABSENT}, {1: ""}),
        "scopes in a list": ({"scope": ["a", "b"]}, {2: ("a", "b")}),
        "of RFC 9068": ({"HEADER": {"typ": "at+jwt"}}, {}),
    }
    yield from varied("generic", {"typ": "JWT"}, base, ("u-9", "web", ("a",), "t-9", ()), rows)
