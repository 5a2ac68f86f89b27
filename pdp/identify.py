"""Identify: credential -> Caller. Person, agent, client, session and delegation, never collapsed into one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from .errors import Refused
from .identity.possession import shown_with
from .identity.rights import Delegation, Principal
from .identity.standing import in_standing

if TYPE_CHECKING:
    from .flow import World
    from .identity.claims import VerifiedToken
    from .identity.tokens import Proof
    from .query import Assertion, Query, ToolRef

Mode = Literal["user_direct", "user_delegated", "autonomous"]
AgentBy = Literal["", "act", "client", "subject", "assertion"]

UNKNOWN_AGE_S = 10 * 365 * 86_400  # of a sign-in that nobody verified: it must never pass for a fresh one


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

    `agent_by` says what named the agent: a part of the token or an adapter's assertion; empty without an agent.
    `chain`: the ids of all agents behind the call, the one at the wheel first, the one the person delegated to last.
    """

    issued_at: datetime
    agent_by: AgentBy
    auth_time_known: bool
    session_named: bool
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


class Asker(Struct, frozen=True):
    """What the key of the adapter that asks lets it do, and demands.

    `voucher`: its id, if it may vouch for callers without their tokens. `bound_tokens_only`: it takes no token that
    whoever finds it could use.
    """

    voucher: str | None = None
    bound_tokens_only: bool = False


PLAIN = Asker()  # an adapter that hands over its callers' tokens, and takes any that are good


class Parties(Struct, frozen=True):
    """Who is behind a call: a person, agents (the one at the wheel first) or both, and what named the agents."""

    person: Principal | None
    agents: tuple[Principal, ...]
    agent_by: AgentBy


async def identify(query: Query, world: World, asker: Asker = PLAIN) -> Caller:
    """Verify who asks, and that they may act at all. Raises `Refused` with an `identity.*` or `facts.*` code."""
    if query.caller.access_token is None:
        if query.caller.asserted is None:
            raise Refused("identity.token_missing")
        return await _vouched(query.caller.asserted, asker, query.tool, world)
    server = await world.people.server(query.tool.server)
    proof = await world.tokens.verify(query.caller.access_token, server.audiences, shown_with(query))
    if asker.bound_tokens_only and proof.token.sender_constrained == "none":
        raise Refused("identity.sender_constraint", "the adapter's key takes bound tokens only")
    parties = await _parties(proof, world)
    delegation = in_standing(parties.person, parties.agents, query.tool, world.now())
    token = proof.token  # a revoked name may stand in each of these places
    await world.people.clients_must_live(token.issuer, filter(None, {token.client, token.subject, *token.actors}))
    session = await world.people.session(token.issuer, token.session)
    if session.revoked:
        raise Refused("identity.session_revoked")
    return _caller(proof, parties, delegation, world.now())


async def _vouched(asserted: Assertion, asker: Asker, tool: ToolRef, world: World) -> Caller:
    """Take an adapter's word for who calls: the one way around the token, and only for a key that says so."""
    if asker.voucher is None or asker.bound_tokens_only:
        raise Refused("identity.assertion_refused")
    if asserted.person is None and asserted.agent is None:
        raise Refused("identity.person_unknown", "the assertion names nobody")
    person = _person(await world.people.get(asserted.person)) if asserted.person is not None else None
    agents = (_agent(await world.people.get(asserted.agent)),) if asserted.agent is not None else ()
    parties = Parties(person=person, agents=agents, agent_by="assertion" if agents else "")
    return _asserted(asker.voucher, parties, in_standing(person, agents, tool, world.now()), world.now())


async def _parties(proof: Proof, world: World) -> Parties:
    """Tell person and agent apart, or refuse: whoever could be taken for another is not let in."""
    token = proof.token
    subject = await world.people.named(token.issuer, token.subject)
    client = await world.people.named(token.issuer, token.client) if token.client else None
    if client is not None and client.registered.kind == "person":
        raise Refused("identity.ambiguous", "the client is registered as a person")
    if token.actors:
        actors = [await _actor(actor, client, token, world) for actor in token.actors]
        return Parties(person=_person(subject), agents=_actors(actors, client), agent_by="act")
    if subject is not None and subject.registered.kind == "agent":
        return Parties(person=None, agents=(_autonomous(subject, client, token),), agent_by="subject")
    if subject is None and token.subject == token.client:
        raise Refused("identity.agent_unknown", "a client acts for itself that is not registered as an agent")
    if client is not None and client.registered.kind == "agent":
        return Parties(person=_person(subject), agents=(client,), agent_by="client")
    proof.issuer.must_be_direct(token.client)
    return Parties(person=_person(subject), agents=(), agent_by="")


async def _actor(actor: str, client: Principal | None, token: VerifiedToken, world: World) -> Principal | None:
    """Return who is named as an actor: nearly always the client, who is known already."""
    return client if actor == token.client else await world.people.named(token.issuer, actor)


def _person(subject: Principal | None) -> Principal:
    if subject is None:
        raise Refused("identity.person_unknown")
    if subject.registered.kind != "person":
        raise Refused("identity.ambiguous", f"the subject is registered as {subject.registered.kind}")
    return subject


def _actors(actors: list[Principal | None], client: Principal | None) -> tuple[Principal, ...]:
    """Return the chain of agents, the one at the wheel first; it, and no other of them, may be the client too."""
    agents = tuple(_agent(actor) for actor in actors)
    if client is not None and client.registered.kind == "agent" and client != agents[0]:
        raise Refused("identity.ambiguous", "the actor and the client are two different agents")
    return agents


def _agent(actor: Principal | None) -> Principal:
    if actor is None:
        raise Refused("identity.agent_unknown", "an actor is not registered")
    if actor.registered.kind != "agent":
        raise Refused("identity.ambiguous", f"an actor is registered as {actor.registered.kind}")
    return actor


def _autonomous(subject: Principal, client: Principal | None, token: VerifiedToken) -> Principal:
    """Only a token that the agent's own client obtained makes the agent itself speak.

    At many issuers people can choose their subject; one who calls themselves like an agent must not become it.
    """
    if client != subject:
        raise Refused("identity.ambiguous", "the subject is an agent, but the client is not an alias of that agent")
    if token.auth_time is not None or token.amr:
        raise Refused("identity.ambiguous", "the subject is an agent, but somebody signed in")
    return subject


def _mode(parties: Parties) -> Mode:
    if parties.person is None:
        return "autonomous"
    return "user_delegated" if parties.agents else "user_direct"


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
            session_named=token.session_named,
            keys_stale=proof.keys_stale,
            chain=_chain(parties),
        ),
        person=parties.person.registered.id if parties.person else None,
        agent=parties.agents[0].registered.id if parties.agents else None,
        delegation=delegation.id if delegation else None,
    )


def _asserted(voucher: str, parties: Parties, delegation: Delegation | None, now: datetime) -> Caller:
    """Say that nothing was verified: no client, no session, no issuer and no scope that a rule could rely on."""
    return Caller(
        verified_by=f"pep:{voucher}",
        mode=_mode(parties),
        client=Client(id=""),
        session=Session(id="", age_s=UNKNOWN_AGE_S),
        token=Token(issuer="", scopes=[]),
        basis=Basis(
            issued_at=now,
            agent_by=parties.agent_by,
            auth_time_known=False,
            session_named=False,
            keys_stale=False,
            chain=_chain(parties),
        ),
        person=parties.person.registered.id if parties.person else None,
        agent=parties.agents[0].registered.id if parties.agents else None,
        delegation=delegation.id if delegation else None,
    )


def _chain(parties: Parties) -> tuple[str, ...]:
    return tuple(agent.registered.id for agent in parties.agents)
