"""Standing: whether a person and the agents that act for them may act at all, and how far they were let. Pure.

A chain of agents is listed with the one at the wheel first, and ends with the one the person delegated to. Each agent
on the way must be a registered subagent of the one behind it (docs/decisions/0013); links only ever take away.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from msgspec.structs import replace

from ..errors import Refused
from ..query import ToolRef
from ..times import rfc3339
from .patterns import covers
from .rights import AgentLink, Delegation, Impact, Principal

RANKS: tuple[Impact, ...] = ("read", "write", "external", "destructive", "privileged")


def in_standing(
    person: Principal | None, agents: Sequence[Principal], tool: ToolRef, now: datetime
) -> Delegation | None:
    """Return the delegation in force when agents act for a person, None when there is no person or no agent.

    Its scope is empty unless every link of the chain covers the tool, and it ends with the first of them. Raises
    `Refused` when somebody is not active, the person delegated nothing to the first agent, or a link is missing.
    """
    if person is not None and person.registered.status != "active":
        raise Refused("identity.person_inactive", person.registered.status)
    for agent in agents:
        if agent.registered.status != "active":
            raise Refused("identity.agent_inactive", f"{agent.registered.id} is {agent.registered.status}")
    if person is None or not agents:
        return None
    moment = rfc3339(now)
    delegation = _delegation(person, agents[-1], tool, moment)
    return _narrowed(delegation, [_link(parent, child, moment) for child, parent in pairwise(agents)], tool)


def shared_ceiling(agents: Sequence[Principal], tool: ToolRef) -> list[str]:
    """Return the patterns of the first agent's ceiling that cover the tool; none unless every agent has some."""
    ceilings = [covering(agent.registered.ceiling or [], tool) for agent in agents]
    return ceilings[0] if all(ceilings) else []


def shared_impact(agents: Sequence[Principal]) -> Impact:
    """Return the least that any of the agents may do; one without a record may do nothing but read."""
    return min((agent.registered.max_impact or "read" for agent in agents), key=RANKS.index)


def covering(patterns: Sequence[str], tool: ToolRef) -> list[str]:
    """Return the patterns that cover a tool."""
    return [pattern for pattern in patterns if covers(pattern, tool.server, tool.name)]


def _delegation(person: Principal, agent: Principal, tool: ToolRef, now: str) -> Delegation:
    identifier = agent.registered.id
    live = [d for d in person.delegations if d.agent == identifier and d.revoked_at is None and d.expires_at > now]
    if not live:
        raise Refused("identity.delegation_missing", f"to {identifier}")
    if len(live) == 1:  # nearly always
        return live[0]
    return max(live, key=lambda d: (bool(covering(d.scope, tool)), d.expires_at, d.id))  # feeds may have one each


def _link(parent: Principal, child: Principal, now: str) -> AgentLink:
    for link in parent.subagents:
        if link.child == child.registered.id and link.expires_at > now:
            return link
    raise Refused("identity.chain_broken", f"{parent.registered.id} may not hand on to {child.registered.id}")


def _narrowed(delegation: Delegation, links: Sequence[AgentLink], tool: ToolRef) -> Delegation:
    if not links:  # nearly every call
        return delegation
    reaches = all(covering(link.scope, tool) for link in links)
    return replace(
        delegation,
        scope=delegation.scope if reaches else [],
        expires_at=min([delegation.expires_at, *(link.expires_at for link in links)]),
    )
