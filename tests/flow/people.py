"""A world as far as identify and enrich see it: a real store with people in it, real tokens, a fake clock."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from pdp.document import read_yaml
from pdp.identity.feed import read_feed
from pdp.identity.habits import Habits
from pdp.identity.importer import import_identity
from pdp.identity.issuers import Issuer
from pdp.identity.people import People
from pdp.identity.risk import read_weights
from pdp.identity.tokens import TokenVerifier
from pdp.policy.pack import default_pack_dir
from pdp.query import Credential, Query, ToolRef
from pdp.store.sql import Store, open_store
from tests.conftest import FakeClock
from tests.idp import AUDIENCE, ISSUER, Idp, make_signer
from tests.migrated import url_at

if TYPE_CHECKING:
    from pdp.flow import World

LATER = "2027-01-01T00:00:00Z"


def alias(subject: str) -> list[dict[str, str]]:
    """Return the one alias of somebody at the issuer of the tests."""
    return [{"issuer": ISSUER, "subject": subject}]


def agent(identifier: str, subject: str, **changes: Any) -> dict[str, Any]:
    """Return an agent of alice's that may write to payments."""
    common = {"owners": ["alice"], "max_impact": "write", "ceiling": ["payments/*"]}
    return {"id": identifier, "aliases": alias(subject), **common, **changes}


def delegation(person: str, to: str, **changes: Any) -> dict[str, Any]:
    """Return a delegation for payments."""
    common = {"scope": ["payments/*"], "max_impact": "write", "expires_at": LATER}
    return {"person": person, "agent": to, **common, **changes}


FEED: dict[str, Any] = {
    "source": "corp",
    "people": [
        {"id": "alice", "aliases": alias("00u1"), "groups": ["support"]},
        {"id": "bob", "aliases": alias("00u2")},
        {"id": "carol", "aliases": alias("00u3"), "status": "suspended"},
    ],
    "agents": [
        agent("bot", "client-7", entitlements=[{"permission": "call", "tool": "payments/*"}]),
        agent("bot-2", "client-8"),
        agent("off", "client-9", status="disabled"),
    ],
    "groups": [
        {"id": "support", "members_of": ["staff"], "roles": ["refunder"]},
        {"id": "staff", "entitlements": [{"permission": "call", "tool": "payments/get_*"}]},
    ],
    "roles": [
        {
            "id": "refunder",
            "entitlements": [
                {
                    "permission": "call",
                    "tool": "payments/create_refund",
                    "constraints": [{"pointer": "/amount", "op": "le", "value": 10000}],
                },
                {"permission": "call", "tool": "mail/send"},
            ],
        }
    ],
    "delegations": [delegation("alice", "bot"), delegation("alice", "off"), delegation("carol", "bot")],
    "servers": [{"id": "payments", "audiences": {ISSUER: [AUDIENCE]}}],
}


WEIGHTS = read_weights(read_yaml((default_pack_dir() / "config.yaml").read_text()))


@dataclass(frozen=True)
class Tools:
    """What the registry says about tools: class and argument labels; unknown ones are privileged."""

    known: Mapping[tuple[str, str], tuple[str, dict[str, list[str]]]] = field(
        default_factory=lambda: {
            ("payments", "create_refund"): ("write", {"/amount": ["money"]}),
            ("payments", "get_order"): ("read", {}),
        }
    )

    def impact(self, server: str, name: str) -> tuple[str, dict[str, list[str]]]:
        """Return the risk class of a tool and the labels of its arguments."""
        return self.known.get((server, name), ("privileged", {}))


@dataclass(frozen=True)
class Part:
    """The part of a world that identify and enrich use."""

    now: FakeClock
    tokens: TokenVerifier
    people: People
    tools: Tools
    store: Store
    idp: Idp
    habits: Habits = field(default_factory=Habits)

    @property
    def world(self) -> "World":
        """Return this as the steps expect it."""
        return cast("World", self)

    async def bring(self, **changes: Any) -> None:
        """Import the feed with changes, and let the cache know."""
        await import_identity(self.store, read_feed(msgspec.json.encode({**FEED, **changes})), self.now())
        await self.people.poll()

    def query(self, *, tool: str = "create_refund", server: str = "payments", token: str = "", **claims: Any) -> Query:
        """Return a query with a good token, claims changed as given."""
        access_token = token or self.idp.token(**claims)
        return Query(caller=Credential(access_token=access_token), tool=ToolRef(server=server, name=tool))


@asynccontextmanager
async def opened(folder: Path, clock: FakeClock) -> AsyncIterator[Part]:
    """Open a store in `folder` with the people of `FEED`, and all that is needed to ask for them."""
    idp = Idp(clock(), signers={"ES256": make_signer("ES256")})
    (folder / "jwks.json").write_text(json.dumps(idp.jwks()))
    store = await open_store(url_at(folder / "pdp.db"))
    tokens = TokenVerifier([Issuer(issuer=ISSUER, jwks_file=folder / "jwks.json", direct_clients=("web-app",))], clock)
    people = People(store, clock)
    part = Part(now=clock, tokens=tokens, people=people, tools=Tools(), store=store, idp=idp)
    try:
        await part.bring()
        yield part
    finally:
        await store.dispose()
