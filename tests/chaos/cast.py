"""Who asks while things break, and for what: people, two agents, approvers; tools of each kind. Plain and complete.

What is right for each call is not said here: `oracle.py` works it out by itself.
"""

import json
import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pdp.audit.log import Log
from pdp.audit.office import Office
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.identity.peps import new_key
from pdp.query import ToolRef, definition_digest
from pdp.registry.labels import Review
from pdp.registry.review import approve, submit
from pdp.store.keys import add_key
from pdp.store.sql import Store, open_store, transaction
from pdp.times import rfc3339, system_clock
from tests.bench.stage import Home, new_issuer
from tests.idp import AUDIENCE, ISSUER, Idp
from tests.service import CALM, definition

SERVER = "payments"
PEOPLE = [f"person-{number:02}" for number in range(40)]  # many: each may have only so many questions open
STEADY, STOPPABLE = "bot", "bot-2"  # two agents; the soak stops and reinstates the second
APPROVERS = ["dave", "erin"]
DESK = "https://pdp.test/approvals"
LATER = "2099-01-01T00:00:00Z"
MOST = 10_000  # what anybody may refund at all
ASKS_ABOVE = 5_000  # the default of gates.amount
DAY_S = 24 * 3600 - 60  # a token outlives the longest run; issuers of the tests accept a day
WEB = "web-app"

TEXT = {"type": "string"}
TOOLS: dict[str, tuple[dict[str, Any], Review]] = {
    "get_order": (definition("get_order", order=TEXT), Review(risk_class="read", owner="orders")),
    "get_report": (definition("get_report", order=TEXT), Review(risk_class="read", owner="orders")),
    "create_refund": (
        definition("create_refund", order=TEXT, amount={"type": "integer"}),
        Review(risk_class="write", owner="payments", argument_labels={"/amount": ["money"]}),
    ),
    "delete_customer": (
        definition("delete_customer", customer=TEXT),
        Review(risk_class="destructive", owner="payments"),
    ),
}
UNKNOWN = "drop_table"  # no such tool


def _alias(subject: str) -> list[dict[str, str]]:
    return [{"issuer": ISSUER, "subject": subject}]


def _agent(name: str) -> dict[str, Any]:
    return {"id": name, "aliases": _alias(f"client-{name}"), "owners": [PEOPLE[0]], "max_impact": "write", **CEILING}


def _delegation(person: str, agent: str) -> dict[str, Any]:
    scope = {"scope": [f"{SERVER}/*"], "max_impact": "write"}
    return {"person": person, "agent": agent, **scope, "expires_at": LATER}


CEILING = {"ceiling": [f"{SERVER}/*"]}
REFUND_RIGHT = {
    "permission": "call",
    "tool": f"{SERVER}/create_refund",
    "constraints": [{"pointer": "/amount", "op": "le", "value": MOST}],
}
FEED: dict[str, Any] = {
    "source": "chaos",
    "people": [
        *({"id": one, "aliases": _alias(f"sub-{one}"), "roles": ["clerk"]} for one in PEOPLE),
        *({"id": one, "aliases": _alias(f"sub-{one}"), "roles": ["approver"]} for one in APPROVERS),
    ],
    "agents": [_agent(STEADY), _agent(STOPPABLE)],
    "roles": [
        {"id": "approver"},
        {
            "id": "clerk",
            "entitlements": [
                REFUND_RIGHT,
                {"permission": "call", "tool": f"{SERVER}/get_*"},
                {"permission": "call", "tool": f"{SERVER}/delete_customer"},
            ],
        },
    ],
    "delegations": [_delegation(person, agent) for person in PEOPLE for agent in (STEADY, STOPPABLE)],
    "servers": [
        {"id": SERVER, "audiences": {ISSUER: [AUDIENCE]}},
        {"id": "pdp.approvals", "audiences": {ISSUER: [DESK]}},
    ],
}


@dataclass(frozen=True)
class Call:
    """One call: who makes it, through which agent if any, with which tool and arguments. `token`: a bad one instead."""

    person: str
    agent: str | None
    tool: str
    arguments: dict[str, Any]
    token: str = ""


@dataclass(frozen=True)
class Cast:
    """A furnished home, and tokens for everybody in it."""

    home: Home
    tokens: dict[tuple[str, str | None], str]
    desk: dict[str, str]
    bad: dict[str, str]

    def body(self, call: Call, approval: str | None = None) -> dict[str, Any]:
        """Return the body of a decision request (contracts, section 1)."""
        known = TOOLS[call.tool][0] if call.tool in TOOLS else definition(call.tool)
        tool = {"server": SERVER, "name": call.tool, "definition_digest": definition_digest(known)}
        named = {"approval": approval} if approval else {}
        caller = {"access_token": self.bad[call.token] if call.token else self.tokens[call.person, call.agent]}
        return {"caller": caller, "tool": tool, "arguments": call.arguments, **named}


def dice(seed: int) -> random.Random:
    """Return the chance of a run that can be repeated."""
    return random.Random(seed)  # noqa: S311  # nothing here is a secret


async def furnish(data_dir: Path, url: str) -> Cast:
    """Bring people, tools and a key into a fresh data directory and the empty store at `url`."""
    now = system_clock()
    idp = new_issuer(data_dir, now)
    store = await open_store(url)
    try:
        await import_identity(store, read_feed(json.dumps(FEED).encode()), now)
        await _register(store, data_dir)
        key = await _key(store)
    finally:
        await store.dispose()
    desk = {one: _token(idp, one, DESK) for one in APPROVERS}
    bad = {
        "expired": _token(idp, PEOPLE[0], AUDIENCE, lives_s=-DAY_S),
        "foreign": _token(idp, PEOPLE[0], "https://mcp.example/another"),
    }
    return Cast(Home(data_dir, key, idp), _tokens(idp), desk, bad)


def settings_of(cast: Cast, org: Path, **more: str) -> dict[str, str]:
    """Return the settings of a service for this cast; `org` is made when it is not there."""
    if not org.exists():
        org.mkdir()
        (org / "config.yaml").write_text(CALM)
    issuer = {"issuer": ISSUER, "jwks_file": str(cast.home.data_dir / "jwks.json"), "direct_clients": [WEB]}
    return {
        "PDP_DATA_DIR": str(cast.home.data_dir),
        "PDP_ISSUERS": json.dumps([issuer]),
        "PDP_ORG_DIR": str(org),
        **more,
    }


async def _register(store: Store, data_dir: Path) -> None:
    log = Log(data_dir / "log" / "furnished", system_clock)
    office = Office(store, log, system_clock)
    try:
        for taken in await submit(office, SERVER, [known for known, _ in TOOLS.values()], "chaos"):
            tool = ToolRef(server=SERVER, name=taken.name, definition_digest=taken.digest)
            await approve(office, tool, TOOLS[taken.name][1], "chaos")
    finally:
        await log.close()


async def _key(store: Store) -> str:
    identifier, key, digest = new_key(system_clock())
    row = {"id": identifier, "secret_digest": digest, "servers": [SERVER], "scopes": ["decide", "identity"]}
    async with transaction(store) as connection:
        expires_at = rfc3339(system_clock() + timedelta(days=1))
        await add_key(connection, {**row, "expires_at": expires_at, "note": "chaos"}, system_clock())
    return key


def _tokens(idp: Idp) -> dict[tuple[str, str | None], str]:
    agents = (None, STEADY, STOPPABLE)
    return {(person, agent): _token(idp, person, AUDIENCE, agent) for person in PEOPLE for agent in agents}


def _token(idp: Idp, person: str, audience: str, agent: str | None = None, lives_s: int = DAY_S) -> str:
    client = WEB if agent is None else f"client-{agent}"
    acts: dict[str, Any] = {} if agent is None else {"act": {"sub": client}}
    who = {"sub": f"sub-{person}", "client_id": client, "sid": f"s-{person}", **acts}
    exp = int(idp.moment.timestamp()) + lives_s
    claims = idp.claims(aud=audience, exp=exp, jti=f"t-{person}-{agent}-{audience}", **who)
    return idp.token(**claims)
