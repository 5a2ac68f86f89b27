"""The rights of one principal, put together from what the store holds: pure, so that it can be tested to the bone.

A right that comes through groups and roles lasts as long as the shortest-lived link on its way; where several ways
lead to it, the longest-lasting counts. Expiry is kept here and enforced by whoever reads, with the time of the call.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from ..store.tables import NEVER

Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z\Z")]
ToolPattern = Annotated[str, Meta(pattern=r"^[^*/]*\*?/[^*/]*\*?\Z")]
NamePattern = Annotated[str, Meta(pattern=r"^[^*/]*\*?\Z")]
Kind = Literal["person", "agent", "service"]
Impact = Literal["read", "write", "external", "destructive", "privileged"]


class Constraint(Struct, frozen=True):
    """A bound on an argument: `pointer` (RFC 6901) compared by `op` with `value`; a missing argument does not hold."""

    pointer: str
    op: Literal["le", "ge", "eq", "in", "prefix"]
    value: Any


class Registered(Struct, frozen=True):
    """A principal as registered; the last three are those of an agent."""

    id: str
    kind: Kind
    status: Literal["active", "suspended", "disabled", "deleted", "revoked"]  # the last is never a feed's
    display: str
    owners: list[str] | None = None
    max_impact: Impact | None = None
    ceiling: list[ToolPattern] | None = None


class Membership(Struct, frozen=True):
    """A principal or a group is in a group."""

    member_kind: Literal["principal", "group"]
    member: str
    group_id: str
    expires_at: Moment


class Assignment(Struct, frozen=True):
    """A principal or a group has a role."""

    holder_kind: Literal["principal", "group"]
    holder: str
    role: str
    expires_at: Moment


class Grant(Struct, frozen=True):
    """An entitlement as stored: what its holder may do."""

    id: str
    holder_kind: Literal["principal", "group", "role"]
    holder: str
    permission: str
    server_pattern: NamePattern
    tool_pattern: NamePattern
    constraints: list[Constraint]
    expires_at: Moment


class Delegation(Struct, frozen=True):
    """What a person lets an agent do in their name."""

    id: str
    agent: str
    scope: list[ToolPattern]
    max_impact: Impact
    expires_at: Moment
    revoked_at: str | None


class AgentLink(Struct, frozen=True):
    """An agent that may be handed what this agent was asked to do, as far as `scope` goes."""

    child: str
    scope: list[ToolPattern]
    expires_at: Moment


class Signal(Struct, frozen=True):
    """Stored evidence for risk. `weight` is a probability per mille; a half-life of 0 does not decay."""

    code: str
    weight: Annotated[int, Meta(ge=0, le=1000)]
    observed_at: Moment
    half_life_s: Annotated[int, Meta(ge=0)]
    expires_at: Moment
    source: str


class Stored(Struct, frozen=True):
    """All rows that concern one principal, as the store returned them."""

    registered: Registered
    memberships: list[Membership]
    assignments: list[Assignment]
    grants: list[Grant]
    delegations: list[Delegation]
    signals: list[Signal]
    links: list[AgentLink] = []


class Held(Struct, frozen=True):
    """A group or role that a principal has until `expires_at`; `through` names the link before it, or is empty."""

    id: str
    expires_at: str
    through: str


class Right(Struct, frozen=True):
    """A grant that reaches the principal until `expires_at`; `via` is `direct`, `group:<id>` or `role:<id>`."""

    grant: Grant
    via: str
    expires_at: str


class Principal(Struct, frozen=True):
    """A person, agent or service with everything that is theirs. `depends`: the groups and roles it came from."""

    registered: Registered
    groups: tuple[Held, ...]
    roles: tuple[Held, ...]
    rights: tuple[Right, ...]
    delegations: tuple[Delegation, ...]
    signals: tuple[Signal, ...]
    subagents: tuple[AgentLink, ...]
    depends: frozenset[str]


def assemble(stored: Stored) -> Principal:
    """Follow groups and roles to every right of the principal."""
    groups = reachable_groups(stored.registered.id, stored.memberships)
    roles = _held_roles(stored.assignments, groups)
    return Principal(
        registered=stored.registered,
        groups=_sorted(groups),
        roles=_sorted(roles),
        rights=tuple(_right(grant, groups, roles) for grant in sorted(stored.grants, key=lambda grant: grant.id)),
        delegations=tuple(stored.delegations),
        signals=tuple(stored.signals),
        subagents=tuple(stored.links),
        depends=frozenset([*(f"group:{group}" for group in groups), *(f"role:{role}" for role in roles)]),
    )


def reachable_groups(principal: str, memberships: Iterable[Membership]) -> dict[str, Held]:
    """Return every group the principal is in, directly or through others; cycles end where they began."""
    above: dict[tuple[str, str], list[Membership]] = {}
    for membership in sorted(memberships, key=lambda row: (row.group_id, row.member)):
        above.setdefault((membership.member_kind, membership.member), []).append(membership)
    found: dict[str, Held] = {}
    waiting = [("principal", principal, NEVER)]
    while waiting:
        kind, member, limit = waiting.pop()
        for link in above.get((kind, member), ()):
            until = min(limit, link.expires_at)
            if link.group_id not in found or until > found[link.group_id].expires_at:
                through = f"group:{member}" if kind == "group" else ""
                found[link.group_id] = Held(id=link.group_id, expires_at=until, through=through)
                waiting.append(("group", link.group_id, until))
    return found


def _held_roles(assignments: Iterable[Assignment], groups: dict[str, Held]) -> dict[str, Held]:
    found: dict[str, Held] = {}
    for assignment in sorted(assignments, key=lambda row: (row.role, row.holder_kind, row.holder)):
        by_group = assignment.holder_kind == "group"
        limit = groups[assignment.holder].expires_at if by_group else NEVER
        until = min(limit, assignment.expires_at)
        if assignment.role not in found or until > found[assignment.role].expires_at:
            through = f"group:{assignment.holder}" if by_group else ""
            found[assignment.role] = Held(id=assignment.role, expires_at=until, through=through)
    return found


def _right(grant: Grant, groups: dict[str, Held], roles: dict[str, Held]) -> Right:
    if grant.holder_kind == "principal":
        return Right(grant=grant, via="direct", expires_at=grant.expires_at)
    held = (groups if grant.holder_kind == "group" else roles)[grant.holder]
    return Right(
        grant=grant, via=f"{grant.holder_kind}:{grant.holder}", expires_at=min(held.expires_at, grant.expires_at)
    )


def _sorted(held: dict[str, Held]) -> tuple[Held, ...]:
    return tuple(held[identifier] for identifier in sorted(held))
