"""The sample data of `pdp serve --dev` and `make demo`: who exists, and what each shows the MCP server."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from .issuer import DevIssuer

HERE = Path(__file__).parent
PEOPLE = HERE / "people.yaml"
REVIEW = HERE / "tools.review.yaml"
SERVER = "payments"
AUDIENCE = "https://payments.example/mcp"
OTHER_AUDIENCE = "https://wiki.example/mcp"
DESK_AUDIENCE = "https://pdp.example/approvals"
PLACEHOLDER = "https://issuer.example"
DIRECT_CLIENT = "client-desktop"
PAST = timedelta(hours=2)


class Bearer(Struct, frozen=True):
    """A caller, in words and as claims. `actor` and `subject` are the issuer's names, not the PDP's."""

    name: str
    says: str
    subject: str
    client: str = DIRECT_CLIENT
    actor: str | None = None
    audience: str = AUDIENCE
    age: timedelta = timedelta()
    lifetime: timedelta = timedelta(hours=8)


BEARERS = (
    Bearer("alice", "Alice, directly", "u-alice"),
    Bearer("alice-helpdesk", "helpdesk-bot for Alice", "u-alice", "client-helpdesk", "client-helpdesk"),
    Bearer("nightly", "nightly-bot, for itself", "client-nightly", "client-nightly"),
    Bearer("bob", "Bob, a contractor", "u-bob"),
    Bearer("alice-retired", "retired-bot for Alice", "u-alice", "client-retired", "client-retired"),
    Bearer("stolen", "Alice's token for the wiki", "u-alice", audience=OTHER_AUDIENCE),
    Bearer("expired", "Alice, an old token", "u-alice", age=PAST, lifetime=timedelta(hours=1)),
)

VOTERS = (
    Bearer("carol-approves", "Carol, who approves", "u-carol", audience=DESK_AUDIENCE),
    Bearer("alice-approves", "Alice, who would approve", "u-alice", audience=DESK_AUDIENCE),
)


def people_of(issuer: str) -> str:
    """Return the sample people and agents (YAML) as known to `issuer`."""
    return PEOPLE.read_text().replace(PLACEHOLDER, issuer)


def tokens(issuer: DevIssuer, now: datetime, bearers: Iterable[Bearer] = (*BEARERS, *VOTERS)) -> dict[str, str]:
    """Return an access token for each sample caller, by its name."""
    return {
        bearer.name: issuer.mint(
            bearer.subject,
            audience=bearer.audience,
            client=bearer.client,
            actor=bearer.actor,
            now=now - bearer.age,
            lifetime=bearer.lifetime,
        )
        for bearer in bearers
    }
