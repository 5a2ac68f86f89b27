"""Enrich: Caller -> Facts. The rights that concern this call, and the risk with its evidence."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from .answer import Risk
from .errors import Refused
from .identity import rights, risk
from .identity.patterns import part_covers
from .identity.standing import covering, in_standing, shared_ceiling, shared_impact
from .times import rfc3339

if TYPE_CHECKING:
    from .flow import World
    from .identify import Caller
    from .identity.rights import Delegation, Principal, Right, Signal
    from .query import Query, ToolRef

Impact: TypeAlias = rights.Impact


class Entitlement(Struct, frozen=True, omit_defaults=True):
    """A right that concerns this call. `via` says where it comes from: `direct`, `group:<id>`, `role:<id>`."""

    id: str
    permission: str
    via: str
    constraints: list[rights.Constraint]
    expires_at: str


class PersonFacts(Struct, frozen=True):
    """A known, active person and the rights that concern this call."""

    id: str
    roles: list[str]
    groups: list[str]
    entitlements: list[Entitlement]


class AgentFacts(Struct, frozen=True):
    """The active agent at the wheel. `ceiling`: its patterns that cover this tool, if every agent's ceiling does."""

    id: str
    owners: list[str]
    roles: list[str]
    max_impact: Impact
    ceiling: list[str]
    entitlements: list[Entitlement]


class DelegationFacts(Struct, frozen=True):
    """The delegation in force. `scope`: its patterns that cover this tool, `chain`: every agent, at the wheel first."""

    id: str
    scope: list[str]
    max_impact: Impact
    expires_at: str
    chain: list[str]


class Facts(Struct, frozen=True, omit_defaults=True):
    """What we know about the caller that concerns this call."""

    risk: Risk
    first_use: bool
    person: PersonFacts | None = None
    agent: AgentFacts | None = None
    delegation: DelegationFacts | None = None


OLD_TOKEN_S = 8 * 3600  # a working day; a token in use for longer was not renewed when it should have been
OLD_SESSION_S = 12 * 3600  # NIST SP 800-63B, section 4.2.3: whoever signed in must do so again within 12 hours
STRONG = frozenset({"mfa", "hwk", "swk", "sc", "pop", "fpt", "face", "iris", "retina", "vbm"})  # RFC 8176, section 2
KNOWN_ONLY = frozenset({"pwd", "pin", "kba"})  # what somebody else can come to know ...
HELD = frozenset({"otp", "sms", "tel"})  # ... and what is a second factor beside it


async def enrich(caller: Caller, query: Query, weights: risk.Weights, world: World) -> Facts:
    """Gather what is known about the caller that concerns this call. Raises `Refused` with a `facts.*` code.

    Standing is looked at again: what was revoked since `identify` is refused here with its `identity.*` code.
    `weights`: what the policy that judges this call says that evidence of risk weighs.
    """
    person = await _principal(caller.person, "identity.person_unknown", world)
    agents = await _agents(caller, world)
    now = world.now()
    delegation = in_standing(person, agents, query.tool, now)
    first_use = not world.people.used_before(caller.person, caller.agent, query.tool.server, query.tool.name)
    signs = await _signs(caller, _everyone(person, agents), weights, world, first_use=first_use)
    return Facts(
        risk=_risk(caller, signs, query, weights, world),
        first_use=first_use,
        person=person_facts(person, query.tool, rfc3339(now)) if person else None,
        agent=_agent_facts(agents, query.tool, rfc3339(now)) if agents else None,
        delegation=_delegation_facts(delegation, caller, query.tool) if delegation else None,
    )


async def _principal(identifier: str | None, unknown: str, world: World) -> Principal | None:
    if identifier is None:
        return None
    found = await world.people.get(identifier)
    if found is None:
        raise Refused(unknown, "it was removed since it was identified")
    return found


async def _agents(caller: Caller, world: World) -> list[Principal]:
    """Return everyone in the chain of agents, the one at the wheel first; one may be in it twice."""
    found = [await _principal(identifier, "identity.agent_unknown", world) for identifier in caller.basis.chain]
    return [agent for agent in found if agent is not None]


def _everyone(person: Principal | None, agents: list[Principal]) -> list[Principal]:
    """Return each once, so that nobody's signals are weighed twice."""
    return list({found.registered.id: found for found in (person, *agents) if found}.values())


def person_facts(person: Principal, tool: ToolRef, now: str) -> PersonFacts:
    """Return what is known about a person that concerns a call of this tool, as of `now` (RFC 3339)."""
    return PersonFacts(
        id=person.registered.id,
        roles=[role.id for role in person.roles if role.expires_at > now],
        groups=[group.id for group in person.groups if group.expires_at > now],
        entitlements=_entitlements(person, tool, now),
    )


def _agent_facts(agents: list[Principal], tool: ToolRef, now: str) -> AgentFacts:
    wheel = agents[0].registered
    if wheel.owners is None or any(agent.registered.max_impact is None for agent in agents):
        raise Refused("facts.unavailable", "an agent without its agent record")
    return AgentFacts(
        id=wheel.id,
        owners=wheel.owners,
        roles=[role.id for role in agents[0].roles if role.expires_at > now],
        max_impact=shared_impact(agents),
        ceiling=shared_ceiling(agents, tool),
        entitlements=_entitlements(agents[0], tool, now),
    )


def _delegation_facts(delegation: Delegation, caller: Caller, tool: ToolRef) -> DelegationFacts:
    return DelegationFacts(
        id=delegation.id,
        scope=covering(delegation.scope, tool),
        max_impact=delegation.max_impact,
        expires_at=delegation.expires_at,
        chain=list(caller.basis.chain),
    )


def _entitlements(principal: Principal, tool: ToolRef, now: str) -> list[Entitlement]:
    return [_entitlement(right) for right in principal.rights if right.expires_at > now and _concerns(right, tool)]


def _concerns(right: Right, tool: ToolRef) -> bool:
    grant = right.grant
    return part_covers(grant.server_pattern, tool.server) and part_covers(grant.tool_pattern, tool.name)


def _entitlement(right: Right) -> Entitlement:
    return Entitlement(
        id=right.grant.id,
        permission=right.grant.permission,
        via=right.via,
        constraints=right.grant.constraints,
        expires_at=right.expires_at,
    )


async def _signs(
    caller: Caller, principals: list[Principal], weights: risk.Weights, world: World, *, first_use: bool
) -> list[risk.Sign]:
    now = world.now()
    session = await world.people.session(caller.token.issuer, caller.session.id)
    if session.revoked:
        raise Refused("identity.session_revoked")
    stored = [*session.signals, *(signal for principal in principals for signal in principal.signals)]
    moment = rfc3339(now)
    return [
        *(_sign(signal) for signal in stored if signal.expires_at > moment),
        *_own_signs(caller, principals, now, weights, first_use=first_use),
        *world.habits.signs((caller.person, caller.agent), weights),
    ]


def _risk(caller: Caller, signs: list[risk.Sign], query: Query, weights: risk.Weights, world: World) -> Risk:
    impact, labels = world.tools.impact(query.tool.server, query.tool.name)
    return risk.assess(
        signs,
        impact=impact,
        labels=[label for of_argument in labels.values() for label in of_argument],
        coverage=_coverage(caller),
        now=world.now(),
        weights=weights,
    )


def _sign(signal: Signal) -> risk.Sign:
    return risk.Sign(
        code=signal.code,
        probability=signal.weight / 1000,
        observed_at=signal.observed_at,
        half_life_s=signal.half_life_s,
        source=signal.source,
    )


def _own_signs(
    caller: Caller, principals: list[Principal], now: datetime, weights: risk.Weights, *, first_use: bool
) -> list[risk.Sign]:
    """Return what the token and the store themselves give away."""
    issued_at = caller.basis.issued_at
    owners = [p.registered.owners for p in principals if p.registered.kind == "agent"]
    observed = {
        "token.bearer_only": (caller.session.sender_constrained == "none", issued_at, "token"),
        "token.old": ((now - issued_at).total_seconds() > OLD_TOKEN_S, issued_at, "token"),
        "token.keys_stale": (caller.basis.keys_stale, now, "pdp"),
        "caller.asserted": (caller.verified_by != "pdp", now, caller.verified_by),
        "agent.by_client_id": (caller.basis.agent_by == "client", issued_at, "token"),
        "agent.unowned": ([] in owners, now, "pdp"),
        "use.first": (first_use, now, "pdp"),
        **(_session_signs(caller) if caller.person else {}),  # an agent by itself has not signed in
    }
    return [risk.known_sign(code, since, source, weights) for code, (seen, since, source) in observed.items() if seen]


def _session_signs(caller: Caller) -> dict[str, tuple[bool, datetime, str]]:
    """Return how the person's sign-in looks; what the token does not say counts like the worse of what it could."""
    session, since = caller.session, caller.basis.issued_at
    age_known = caller.basis.auth_time_known
    return {
        "session.old": (age_known and session.age_s > OLD_SESSION_S, since, "token"),
        "session.age_unknown": (not age_known, since, "token"),
        "session.weak": (bool(session.amr) and not _is_strong(session.amr), since, "token"),
        "session.unknown": (not caller.basis.session_named, since, "token"),
        "session.strength_unknown": (not session.amr, since, "token"),
    }


def _is_strong(methods: list[str]) -> bool:
    two = not KNOWN_ONLY.isdisjoint(methods) and not HELD.isdisjoint(methods)
    return two or not STRONG.isdisjoint(methods)


def _coverage(caller: Caller) -> dict[str, bool]:
    """Say which inputs there were; what is missing is weighed as the worst it can be, or not trusted at all."""
    return {
        "auth_time": caller.basis.auth_time_known,
        "session": caller.basis.session_named,
        "sender_constraint": caller.session.sender_constrained != "none",
        "authentication_methods": bool(caller.session.amr),
    }
