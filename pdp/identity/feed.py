"""A feed: people, agents, groups, roles, delegations, servers and signals as a file says them (contracts, section 4).

Read strictly: an unknown key, a duplicate, a time without an offset or a pattern that is not one is an error that
names its place, because a right that was misspelt must not silently be none, or another.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from ..document import read_document
from ..errors import Fault
from .patterns import read_pattern
from .rights import Impact

MAX_FEED = 256 * 1024 * 1024  # bytes: a million people

Id = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
IssuerName = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x20\x7f]+\Z")]
ServerId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x20\x7f/*]+\Z")]
Text = Annotated[str, Meta(max_length=512)]
Time = Annotated[datetime, Meta(tz=True)]
Status = Literal["active", "suspended", "disabled", "deleted"]
Scalar = str | int | float | bool

ORDERED = ("le", "ge")
POINTER = Annotated[str, Meta(pattern=r"^(/([^~/]|~[01])*)+\Z")]  # RFC 6901, and never the whole document


class ConstraintLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A bound on an argument."""

    pointer: POINTER
    op: Literal["le", "ge", "eq", "in", "prefix"]
    value: Scalar | list[Scalar]

    def __post_init__(self) -> None:
        """Refuse a bound that no argument could be compared with."""
        if (self.op == "in") != isinstance(self.value, list):
            raise ValueError("`in`, and only `in`, takes a list")
        if self.op == "prefix" and not isinstance(self.value, str):
            raise ValueError("`prefix` takes text")
        if self.op in ORDERED and (isinstance(self.value, bool) or not isinstance(self.value, int | float)):
            raise ValueError(f"`{self.op}` takes a number")


class EntitlementLine(Struct, frozen=True, forbid_unknown_fields=True):
    """What its holder may do: `permission` on the tools that `tool` covers, within `constraints`."""

    permission: Id
    tool: str
    constraints: list[ConstraintLine] = field(default_factory=list)
    expires_at: Time | None = None

    def __post_init__(self) -> None:
        """Refuse a pattern that is not one."""
        read_pattern(self.tool)


class Until(Struct, frozen=True, forbid_unknown_fields=True):
    """A group or role that ends."""

    id: Id
    expires_at: Time


class AliasLine(Struct, frozen=True, forbid_unknown_fields=True):
    """How an issuer calls a principal."""

    issuer: IssuerName
    subject: Id


class PersonLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A person. Their groups, roles and rights of this feed are exactly those listed."""

    id: Id
    display: Text = ""
    status: Status = "active"
    aliases: list[AliasLine] = field(default_factory=list)
    groups: list[Id | Until] = field(default_factory=list)
    roles: list[Id | Until] = field(default_factory=list)
    entitlements: list[EntitlementLine] = field(default_factory=list)


class SubagentLine(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent that this one may hand tasks to, and for which tools."""

    agent: Id
    scope: list[str]
    expires_at: Time | None = None

    def __post_init__(self) -> None:
        """Refuse patterns that are not."""
        for pattern in self.scope:
            read_pattern(pattern)


class AgentLine(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent: who answers for it, and the most it may ever do, whoever it acts for."""

    id: Id
    owners: list[Id]
    max_impact: Impact
    ceiling: list[str]
    display: Text = ""
    status: Status = "active"
    aliases: list[AliasLine] = field(default_factory=list)
    groups: list[Id | Until] = field(default_factory=list)
    roles: list[Id | Until] = field(default_factory=list)
    entitlements: list[EntitlementLine] = field(default_factory=list)
    subagents: list[SubagentLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse patterns that are not, and an agent that would hand tasks to itself."""
        for pattern in self.ceiling:
            read_pattern(pattern)
        if any(link.agent == self.id for link in self.subagents):
            raise ValueError("an agent is not its own subagent")


class GroupLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A group, the groups it is in itself, and what it brings its members."""

    id: Id
    display: Text = ""
    members_of: list[Id | Until] = field(default_factory=list)
    roles: list[Id | Until] = field(default_factory=list)
    entitlements: list[EntitlementLine] = field(default_factory=list)


class RoleLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A role and its rights."""

    id: Id
    display: Text = ""
    entitlements: list[EntitlementLine] = field(default_factory=list)


class DelegationLine(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person lets an agent do in their name, until when."""

    person: Id
    agent: Id
    scope: list[str]
    max_impact: Impact
    expires_at: Time

    def __post_init__(self) -> None:
        """Refuse patterns that are not."""
        for pattern in self.scope:
            read_pattern(pattern)


class ServerLine(Struct, frozen=True, forbid_unknown_fields=True):
    """An MCP server: the audiences it accepts from each issuer, and the scopes every call to it needs."""

    id: ServerId
    audiences: dict[IssuerName, list[Id]]
    required_scopes: list[Id] = field(default_factory=list)


class SignalLine(Struct, frozen=True, forbid_unknown_fields=True):
    """Evidence for risk: `weight` per mille, halving every `half_life_s` (0: never). A session is `<issuer> <sid>`."""

    id: Id
    entity_kind: Literal["person", "agent", "session"]
    entity: Text
    code: Id
    weight: Annotated[int, Meta(ge=0, le=1000)]
    observed_at: Time
    half_life_s: Annotated[int, Meta(ge=0)] = 0
    expires_at: Time | None = None


class Feed(Struct, frozen=True, forbid_unknown_fields=True):
    """All that one source says."""

    source: Id
    people: list[PersonLine] = field(default_factory=list)
    agents: list[AgentLine] = field(default_factory=list)
    groups: list[GroupLine] = field(default_factory=list)
    roles: list[RoleLine] = field(default_factory=list)
    delegations: list[DelegationLine] = field(default_factory=list)
    servers: list[ServerLine] = field(default_factory=list)
    signals: list[SignalLine] = field(default_factory=list)


OURS = re.compile(r"mcp-pdp\Z|pep_|cli:")  # sources of rows that the PDP, its keys and its operators write themselves


def must_be_a_feed(feed: Feed) -> None:
    """Raise `Fault` for a feed from outside that names a source of ours."""
    if OURS.match(feed.source):
        raise Fault(f"{feed.source} is no source of a feed: name yours otherwise. Nothing was changed.")


def read_feed(body: bytes) -> Feed:
    """Read YAML or JSON. Raises `Fault` that names the place of what is wrong."""
    try:
        return msgspec.convert(read_document(body, MAX_FEED), Feed)
    except msgspec.ValidationError as error:
        raise Fault(f"The feed cannot be read: {error}. Correct it and import it again; nothing was changed.") from None
