"""Identify: credential -> Caller. Person, agent, client, session and delegation, never collapsed into one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from .errors import Refused
from .identity.claims import VerifiedToken
from .identity.patterns import covers
from .identity.rights import Delegation, Principal
from .times import rfc3339

if TYPE_CHECKING:
    from .flow import World
    from .identity.tokens import Proof
    from .query import Query, ToolRef

Mode = Literal["user_direct", "user_delegated", "autonomous"]


class Client(Struct, frozen=True):
    """The OAuth client that obtained the token."""

    id: str


class Session(Struct, frozen=True):
    """The sign-in behind the token. `age_s`: seconds since authentication (or since the token was issued)."""

    id: str
    age_s: int
    sender_constrained: str = "none"
    amr: list[str] = field(default_factory=list)


class Token(Struct, frozen=True):
    """What the verified token grants: an upper bound, never a right."""

    issuer: str
    scopes: list[str]
    authorization_details: list[dict[str, Any]] = field(default_factory=list)


class Basis(Struct, frozen=True):
    """How the caller was proved: weighed as risk in `enrich`, never shown to policy.

    `agent_by` says which part of the token named the agent: `act`, `client` or `subject`; empty without an agent.
    """

    issued_at: datetime
    agent_by: Literal["", "act", "client", "subject"]
    auth_time_known: bool
    keys_stale: bool
    chain: tuple[str, ...]


class Caller(Struct, frozen=True, omit_defaults=True):
    """A verified caller in good standing. `person` and `agent` are principal ids of the identity store."""

    verified_by: str
    mode: Mode
    client: Client
    session: Session
    token: Token
    basis: Basis
    person: str | None = None
    agent: str | None = None
    delegation: str | None = None


class Parties(Struct, frozen=True):
    """Who is behind a token, and which part of it named the agent."""

    person: Principal | None
    agent: Principal | None
    agent_by: Literal["", "act", "client", "subject"]


async def identify(query: Query, world: World) -> Caller:
    """Verify who asks, and that they may act at all. Raises `Refused` with an `identity.*` or `facts.*` code."""
    if query.caller.access_token is None:
        raise Refused("identity.assertion_refused" if query.caller.asserted else "identity.token_missing")
    server = await world.people.server(query.tool.server)
    proof = await world.tokens.verify(query.caller.access_token, server.audiences)
    token = proof.token  # a client may stand in each of these places; people are named apart from clients
    await world.people.clients_must_live(token.issuer, filter(None, {token.client, token.subject, *token.actors}))
    parties = await _parties(proof.token, world)
    delegation = in_standing(parties.person, parties.agent, query.tool, world.now())
    session = await world.people.session(proof.token.issuer, proof.token.session)
    if session.revoked:
        raise Refused("identity.session_revoked")
    return _caller(proof, parties, delegation, world.now())


def in_standing(person: Principal | None, agent: Principal | None, tool: ToolRef, now: datetime) -> Delegation | None:
    """Return the delegation in force when an agent acts for a person, None when there is only one of them.

    Raises `Refused` when the person or the agent is not active, or the person has delegated nothing to the agent.
    """
    if person is not None and person.registered.status != "active":
        raise Refused("identity.person_inactive", person.registered.status)
    if agent is not None and agent.registered.status != "active":
        raise Refused("identity.agent_inactive", agent.registered.status)
    if person is None or agent is None:
        return None
    live = [d for d in person.delegations if _in_force(d, agent.registered.id, rfc3339(now))]
    if not live:
        raise Refused("identity.delegation_missing")
    return max(live, key=lambda d: (_reaches(d, tool), d.expires_at, d.id))  # feeds may have one each


async def _parties(token: VerifiedToken, world: World) -> Parties:
    """Tell person and agent apart, or refuse: whoever could be taken for another is not let in."""
    subject = await world.people.named(token.issuer, token.subject)
    client = await world.people.named(token.issuer, token.client) if token.client else None
    actor = await world.people.named(token.issuer, token.actors[0]) if token.actors else None
    if token.actors:
        return Parties(person=_person(subject), agent=_actor(actor, client), agent_by="act")
    if subject is not None and subject.registered.kind == "agent":
        return Parties(person=None, agent=_autonomous(subject, client, token), agent_by="subject")
    if subject is None and token.subject == token.client:
        raise Refused("identity.agent_unknown", "a client acts for itself that is not registered as an agent")
    if client is not None and client.registered.kind == "agent":
        return Parties(person=_person(subject), agent=client, agent_by="client")
    if client is not None and client.registered.kind == "person":
        raise Refused("identity.ambiguous", "the client is registered as a person")
    return Parties(person=_person(subject), agent=None, agent_by="")


def _person(subject: Principal | None) -> Principal:
    if subject is None:
        raise Refused("identity.person_unknown")
    if subject.registered.kind != "person":
        raise Refused("identity.ambiguous", f"the subject is registered as {subject.registered.kind}")
    return subject


def _actor(actor: Principal | None, client: Principal | None) -> Principal:
    if actor is None:
        raise Refused("identity.agent_unknown", "the actor is not registered")
    if actor.registered.kind != "agent":
        raise Refused("identity.ambiguous", f"the actor is registered as {actor.registered.kind}")
    if client is not None and client.registered.kind == "agent" and client != actor:
        raise Refused("identity.ambiguous", "the actor and the client are two different agents")
    return actor


def _autonomous(subject: Principal, client: Principal | None, token: VerifiedToken) -> Principal:
    """Only a token that the agent's own client obtained makes the agent itself speak.

    At many issuers people can choose their subject; one who calls themselves like an agent must not become it.
    """
    if token.client and client != subject:
        raise Refused("identity.ambiguous", "the subject is an agent, but the client is not an alias of that agent")
    return subject


def _in_force(delegation: Delegation, agent: str, now: str) -> bool:
    return delegation.agent == agent and delegation.revoked_at is None and delegation.expires_at > now


def _reaches(delegation: Delegation, tool: ToolRef) -> bool:
    return any(covers(pattern, tool.server, tool.name) for pattern in delegation.scope)


def _mode(parties: Parties) -> Mode:
    if parties.person is None:
        return "autonomous"
    return "user_direct" if parties.agent is None else "user_delegated"


def _caller(proof: Proof, parties: Parties, delegation: Delegation | None, now: datetime) -> Caller:
    token = proof.token
    began = token.issued_at if token.auth_time is None else token.auth_time
    return Caller(
        verified_by="pdp",
        mode=_mode(parties),
        client=Client(id=token.client),
        session=Session(
            id=token.session,
            age_s=max(0, int(now.timestamp() - began)),
            sender_constrained=token.sender_constrained,
            amr=list(token.amr),
        ),
        token=Token(
            issuer=token.issuer,
            scopes=list(token.scopes),
            authorization_details=list(token.authorization_details),
        ),
        basis=Basis(
            issued_at=datetime.fromtimestamp(token.issued_at, tz=UTC),
            agent_by=parties.agent_by,
            auth_time_known=token.auth_time is not None,
            keys_stale=proof.keys_stale,
            chain=token.actors,
        ),
        person=parties.person.registered.id if parties.person else None,
        agent=parties.agent.registered.id if parties.agent else None,
        delegation=delegation.id if delegation else None,
    )
