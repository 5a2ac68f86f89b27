"""Read the identity store: everything about one principal in a few queries, all of one moment.

Raises `StoreUnavailable` when the store does not answer, and `Unreadable` when it answers with rows that this
release does not understand: a right we cannot read is not half a right, it is none.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Fault
from ..identity.rights import (
    AgentLink,
    Assignment,
    Delegation,
    Grant,
    Membership,
    Principal,
    Registered,
    Signal,
    Stored,
    assemble,
)
from .sql import Store, reading
from .tables import (
    agent_links,
    agents,
    aliases,
    delegations,
    entitlements,
    memberships,
    principals,
    revocations,
    role_assignments,
    servers,
    sessions,
    signals,
)

MAX_ROWS = 10_000  # of one kind for one principal: far beyond any real directory, small enough to hold in memory
T = TypeVar("T", bound=Struct)


class Unreadable(Fault):
    """The store holds rows that this release cannot read."""


class SessionRecord(Struct, frozen=True):
    """What is known about a sign-in: whether it was revoked, and evidence for risk."""

    revoked: bool
    signals: tuple[Signal, ...]


class Server(Struct, frozen=True):
    """A server's accepted audiences per issuer, and the scopes every call to it needs."""

    audiences: dict[str, list[str]]
    required_scopes: list[str]


async def find_alias(store: Store, issuer: str, subject: str) -> str | None:
    """Return the id of the principal that `issuer` calls `subject`."""
    query = select(aliases.c.principal).where(aliases.c.issuer == issuer, aliases.c.subject == subject)
    async with reading(store) as connection:
        found: str | None = (await connection.execute(query)).scalar_one_or_none()
        return found


async def find_principal(store: Store, identifier: str) -> Principal | None:
    """Return a principal with all its rights, or None when it is not known."""
    async with reading(store) as connection:
        registered = await _read(connection, _registered(identifier), Registered)
        if not registered:
            return None
        return assemble(await _stored(connection, registered[0]))


async def find_session(store: Store, issuer: str, identifier: str) -> SessionRecord:
    """Return what is known about a sign-in; one never heard of is not revoked."""
    noted = select(sessions.c.revoked_at).where(sessions.c.issuer == issuer, sessions.c.id == identifier)
    killed = select(revocations.c.at).where(
        revocations.c.kind == "session", revocations.c.issuer == issuer, revocations.c.id == identifier
    )
    async with reading(store) as connection:
        found = [(await connection.execute(query)).scalar_one_or_none() for query in (noted, killed)]
        evidence = await _read(connection, _signals("session", f"{issuer} {identifier}"), Signal)
    return SessionRecord(revoked=any(found), signals=tuple(evidence))


async def find_server(store: Store, identifier: str) -> Server:
    """Return what is registered for a server; an unknown one accepts no audience."""
    query = select(servers.c.audiences, servers.c.required_scopes).where(servers.c.id == identifier)
    async with reading(store) as connection:
        found = await _read(connection, query, Server)
    return found[0] if found else Server(audiences={}, required_scopes=[])


async def find_other_audiences(store: Store, identifier: str, issuer: str) -> frozenset[str]:
    """Return every audience that servers other than this one accept from an issuer."""
    query = select(servers.c.audiences, servers.c.required_scopes).where(servers.c.id != identifier)
    async with reading(store) as connection:
        others = await _read(connection, query, Server)
    return frozenset(audience for other in others for audience in other.audiences.get(issuer, ()))


async def _stored(connection: AsyncConnection, registered: Registered) -> Stored:
    member = ("principal", registered.id)
    edges = await _read(connection, _memberships(registered.id), Membership)
    groups = [("group", group) for group in {edge.group_id for edge in edges}]
    assigned = await _read(connection, _assignments([member, *groups]), Assignment)
    roles = [("role", role) for role in {assignment.role for assignment in assigned}]
    person, agent = registered.kind == "person", registered.kind == "agent"
    return Stored(
        registered=registered,
        memberships=edges,
        assignments=assigned,
        grants=await _read(connection, _grants([member, *groups, *roles]), Grant),
        delegations=await _read(connection, _delegations(registered.id), Delegation) if person else [],
        signals=await _read(connection, _signals(registered.kind, registered.id), Signal),
        links=await _read(connection, _links(registered.id), AgentLink) if agent else [],
    )


async def _read(connection: AsyncConnection, query: Select[Any], kind: type[T]) -> list[T]:
    rows = (await connection.execute(query.limit(MAX_ROWS + 1))).all()
    if len(rows) > MAX_ROWS:
        raise Unreadable(f"The store holds more than {MAX_ROWS} rows of {kind.__name__} for one principal.")
    try:
        return [msgspec.convert(row, kind, from_attributes=True) for row in rows]
    except msgspec.ValidationError as error:
        raise Unreadable(f"The store holds a {kind.__name__} that cannot be read: {error}.") from None


def _registered(identifier: str) -> Select[Any]:
    killed = and_(revocations.c.kind == principals.c.kind, revocations.c.id == principals.c.id)
    status = case((revocations.c.at.is_not(None), "revoked"), else_=principals.c.status).label("status")
    columns = (*principals.c["id", "kind", "display"], *agents.c["owners", "max_impact", "ceiling"])
    query = select(status, *columns).outerjoin_from(principals, agents).outerjoin(revocations, killed)
    return query.where(principals.c.id == identifier)


def _memberships(identifier: str) -> Select[Any]:
    columns = memberships.c["member_kind", "member", "group_id", "expires_at"]
    direct = select(*columns).where(memberships.c.member_kind == "principal", memberships.c.member == identifier)
    found = direct.cte("found", recursive=True)
    above = select(*columns).where(memberships.c.member_kind == "group", memberships.c.member == found.c.group_id)
    return select(found.union(above))  # UNION drops what was found before, so a cycle ends


def _assignments(holders: list[tuple[str, str]]) -> Select[Any]:
    columns = role_assignments.c["holder_kind", "holder", "role", "expires_at"]
    return select(*columns).where(_held_by(role_assignments, holders))


def _grants(holders: list[tuple[str, str]]) -> Select[Any]:
    table = entitlements.c
    columns = table[
        "id", "holder_kind", "holder", "permission", "server_pattern", "tool_pattern", "constraints", "expires_at"
    ]
    return select(*columns).where(_held_by(entitlements, holders))


def _held_by(table: Any, holders: list[tuple[str, str]]) -> Any:
    kinds: dict[str, list[str]] = {}
    for kind, holder in holders:
        kinds.setdefault(kind, []).append(holder)
    return or_(*(and_(table.c.holder_kind == kind, table.c.holder.in_(names)) for kind, names in kinds.items()))


def _delegations(person: str) -> Select[Any]:
    killed = and_(revocations.c.kind == "delegation", revocations.c.id == delegations.c.id)
    columns = delegations.c["id", "agent", "scope", "max_impact", "expires_at"]
    revoked_at = func.coalesce(delegations.c.revoked_at, revocations.c.at).label("revoked_at")
    query = select(*columns, revoked_at).outerjoin_from(delegations, revocations, killed)
    return query.where(delegations.c.person == person)


def _links(parent: str) -> Select[Any]:
    table = agent_links.c
    return select(table.child, table.max_scope.label("scope"), table.expires_at).where(table.parent == parent)


def _signals(kind: str, entity: str) -> Select[Any]:
    columns = signals.c["code", "weight", "observed_at", "half_life_s", "expires_at", "source"]
    return select(*columns).where(signals.c.entity_kind == kind, signals.c.entity == entity)
