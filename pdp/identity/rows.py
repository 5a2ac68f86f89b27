"""A feed as the rows it wants in the store. Pure: the same feed always wants the same rows, with the same ids."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from ..errors import Fault
from ..query import canonical
from ..store.tables import NEVER
from ..times import rfc3339
from .feed import AgentLine, EntitlementLine, Feed, Id, PersonLine, SubagentLine, Until
from .patterns import read_pattern

FIRST_YEAR = 1970  # a year of fewer than four digits would not compare as text
Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Rows by table name, parents before children."""


def wanted_rows(feed: Feed) -> Rows:
    """Return the rows of a feed. Raises `Fault` when it says one thing twice."""
    rows: Rows = {
        "principals": [_principal(line) for line in _principals(feed)],
        "agents": [_agent(line) for line in feed.agents],
        "agent_links": [_link(line.id, link) for line in feed.agents for link in line.subagents],
        "aliases": [_alias(line.id, alias) for line in _principals(feed) for alias in line.aliases],
        "groups": [_named(line) for line in feed.groups],
        "roles": [_named(line) for line in feed.roles],
        "memberships": _memberships(feed),
        "role_assignments": _assignments(feed),
        "entitlements": _entitlements(feed),
        "delegations": [_delegation(line, feed.source) for line in feed.delegations],
        "servers": [msgspec.to_builtins(line) for line in feed.servers],
        "signals": [_signal(line) for line in feed.signals],
    }
    return {table: [{**row, "source": feed.source} for row in found] for table, found in rows.items()}


def _principals(feed: Feed) -> list[PersonLine | AgentLine]:
    return [*feed.people, *feed.agents]


def _principal(line: PersonLine | AgentLine) -> Row:
    kind = "agent" if isinstance(line, AgentLine) else "person"
    return {"id": line.id, "kind": kind, "status": line.status, "display": line.display}


def _agent(line: AgentLine) -> Row:
    return {"id": line.id, "owners": line.owners, "max_impact": line.max_impact, "ceiling": line.ceiling}


def _link(parent: str, link: SubagentLine) -> Row:
    return {
        "parent": parent,
        "child": link.agent,
        "max_scope": link.scope,
        "expires_at": _time(link.expires_at),
    }


def _alias(principal: str, alias: Any) -> Row:
    return {"issuer": alias.issuer, "subject": alias.subject, "principal": principal}


def _named(line: Any) -> Row:
    return {"id": line.id, "display": line.display}


def _memberships(feed: Feed) -> list[Row]:
    holders = [("principal", line.id, line.groups) for line in _principals(feed)]
    holders += [("group", line.id, line.members_of) for line in feed.groups]
    return [
        {"member_kind": kind, "member": member, "group_id": group, "expires_at": expires_at}
        for kind, member, links in holders
        for group, expires_at in _until(links)
    ]


def _assignments(feed: Feed) -> list[Row]:
    holders = [("principal", line.id, line.roles) for line in _principals(feed)]
    holders += [("group", line.id, line.roles) for line in feed.groups]
    return [
        {"holder_kind": kind, "holder": holder, "role": role, "expires_at": expires_at}
        for kind, holder, links in holders
        for role, expires_at in _until(links)
    ]


def _entitlements(feed: Feed) -> list[Row]:
    holders = [("principal", line.id, line.entitlements) for line in _principals(feed)]
    holders += [("group", line.id, line.entitlements) for line in feed.groups]
    holders += [("role", line.id, line.entitlements) for line in feed.roles]
    return [_entitlement(feed.source, kind, holder, line) for kind, holder, lines in holders for line in lines]


def _entitlement(source: str, kind: str, holder: str, line: EntitlementLine) -> Row:
    pattern = read_pattern(line.tool)
    constraints = msgspec.to_builtins(line.constraints)
    return {
        "id": _id("ent", [source, kind, holder, line.permission, line.tool, constraints]),
        "holder_kind": kind,
        "holder": holder,
        "permission": line.permission,
        "server_pattern": pattern.server,
        "tool_pattern": pattern.tool,
        "constraints": constraints,
        "expires_at": _time(line.expires_at),
    }


def _delegation(line: Any, source: str) -> Row:
    return {
        "id": _id("dlg", [source, line.person, line.agent]),
        "person": line.person,
        "agent": line.agent,
        "scope": line.scope,
        "max_impact": line.max_impact,
        "expires_at": _time(line.expires_at),
    }


def _signal(line: Any) -> Row:
    return {
        **msgspec.to_builtins(line),
        "observed_at": _time(line.observed_at),
        "expires_at": _time(line.expires_at),
    }


def _until(links: Iterable[Id | Until]) -> list[tuple[str, str]]:
    return [(link, NEVER) if isinstance(link, str) else (link.id, _time(link.expires_at)) for link in links]


def _time(moment: datetime | None) -> str:
    if moment is not None and moment.year < FIRST_YEAR:
        raise Fault(f"The feed has a time in the year {moment.year}: correct it; nothing was changed.")
    return NEVER if moment is None else rfc3339(moment)


def _id(prefix: str, content: list[Any]) -> str:
    """Return an id that is the same whenever the content is, so that an import can be repeated."""
    try:
        return f"{prefix}_{hashlib.sha256(canonical(content)).hexdigest()[:32]}"
    except ValueError:
        raise Fault(f"A constraint of {content[2]} has a value that JSON cannot say: correct it.") from None
