"""Decision tables: named people, agents and tools, and in each row who calls what and what must come of it.

A reviewer who reads no Rego can review a table. A row becomes a policy input by the same Structs that `decide` sends,
and by the same slicing: only the rights that concern the tool of the row are in it.
"""

import re
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from ..answer import Decision, Risk
from ..decide import ApprovalInput, CallerInput, CallFacts, ClockInput, PolicyInput
from ..enrich import AgentFacts, DelegationFacts, Entitlement, Impact, PersonFacts
from ..identify import Client, Mode, Session, Token
from ..identity.patterns import covers
from ..identity.rights import Constraint
from ..registry.parsed import take_apart
from ..store.tables import NEVER
from ..times import parse_rfc3339
from ..vet import Tool
from .problem import PackRefused, Problem
from .sources import Text
from .values import read_yaml
from .yaml_lines import line_of, lines_in

TABLES = 64  # are remembered: a policy that is built again has mostly the tables it had, and one takes 7 ms to read
NOW = "2026-01-05T10:00:00Z"  # a Monday, in working hours


class Right(Struct, frozen=True, forbid_unknown_fields=True):
    """A right as a table writes it; `tool` is a pattern."""

    tool: str
    permission: str = "call"
    via: str = "direct"
    constraints: list[Constraint] = field(default_factory=list)
    expires_at: str = NEVER


class Person(Struct, frozen=True, forbid_unknown_fields=True):
    """A person of a table."""

    roles: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    rights: list[Right] = field(default_factory=list)


class Agent(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent of a table; `ceiling` is a list of patterns."""

    max_impact: Impact
    ceiling: list[str]
    owners: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    rights: list[Right] = field(default_factory=list)


class Delegation(Struct, frozen=True, forbid_unknown_fields=True):
    """What a person lets an agent do; `scope` is a list of patterns."""

    person: str
    agent: str
    scope: list[str]
    max_impact: Impact
    expires_at: str = NEVER


class Kind(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool of a table, under its name `server/tool`."""

    risk_class: Impact
    labels: list[str] = field(default_factory=list)
    required_scopes: list[str] = field(default_factory=list)
    argument_labels: dict[str, list[str]] = field(default_factory=dict)
    owner: str = ""


class Poll(Struct, frozen=True, forbid_unknown_fields=True):
    """Votes on a call, in the order they come in, and how its request stands after the last of them."""

    then: Literal["open", "satisfied", "rejected"]
    agree: list[str] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)


class Asks(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a call is put to: the stages it passes, in which of them people may vote, and what comes of votes."""

    stages: list[str]
    may_vote: dict[str, list[str]] = field(default_factory=dict)
    polls: list[Poll] = field(default_factory=list)

    @property
    def voters(self) -> list[str]:
        """Return everybody it names, once."""
        polled = [person for poll in self.polls for person in (*poll.agree, *poll.refuse)]
        return list(dict.fromkeys([*self.may_vote, *polled]))


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """One call. `because` are the codes of the reasons, all of them; `duties` the types of what is owed.

    `asks`, of one that needs approval: whom it is put to.

    `line` is not written by hand: it is where the row stands in its file, and 0 when it stands in none.
    """

    case: str
    tool: str
    expect: Decision
    person: str | None = None
    agent: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    risk: float = 0
    first_use: bool = False
    approved: list[str] = field(default_factory=list)
    now: str = NOW
    because: list[str] = field(default_factory=list)
    duties: list[str] = field(default_factory=list)
    asks: Asks | None = None
    line: int = 0


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `cases/`."""

    tools: dict[str, Kind]
    cases: list[Row]
    people: dict[str, Person] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    delegations: list[Delegation] = field(default_factory=list)

    def input_of(self, row: Row) -> PolicyInput:
        """Return what policy looks at for a row. Raises `KeyError` for a name that the table does not define."""
        server, _, name = row.tool.partition("/")
        kind = self.tools[row.tool]
        moment = parse_rfc3339(row.now)
        return PolicyInput(
            caller=self._caller(row),
            tool=Tool(
                server=server,
                name=name,
                risk_class=kind.risk_class,
                labels=kind.labels,
                owner=kind.owner,
                required_scopes=kind.required_scopes,
                argument_labels=kind.argument_labels,
            ),
            arguments=row.arguments,
            parsed=take_apart(row.arguments, kind.argument_labels),
            risk=Risk(score=row.risk, level="minimal", evidence=[]),
            facts=CallFacts(first_use=row.first_use),
            context={},
            now=row.now,
            clock=ClockInput(weekday=moment.weekday(), hour=moment.hour, date=row.now[:10], zone="UTC"),
            approval=_approval(row),
        )

    def _caller(self, row: Row) -> CallerInput:
        return CallerInput(
            verified_by="pdp",
            mode=mode_of(row),
            client=Client(id=row.agent or "browser"),
            session=Session(id="s-1", age_s=60),
            token=Token(issuer="https://idp.example", scopes=row.scopes),
            person=self.person_of(row.person, row) if row.person is not None else None,
            agent=self._agent(row),
            delegation=self._delegation(row),
        )

    def person_of(self, name: str, row: Row) -> PersonFacts:
        """Return a person with the rights to the tool of a row. Raises `KeyError` for one that is not defined."""
        person = self.people[name]
        return PersonFacts(id=name, roles=person.roles, groups=person.groups, entitlements=_rights(person.rights, row))

    def _agent(self, row: Row) -> AgentFacts | None:
        if row.agent is None:
            return None
        agent = self.agents[row.agent]
        return AgentFacts(
            id=row.agent,
            owners=agent.owners,
            roles=agent.roles,
            max_impact=agent.max_impact,
            ceiling=_covering(agent.ceiling, row.tool),
            entitlements=_rights(agent.rights, row),
        )

    def _delegation(self, row: Row) -> DelegationFacts | None:
        """A row whose delegation is missing has none in its input, so that the policy's own answer to that is seen."""
        for number, given in enumerate(self.delegations, 1):
            if (given.person, given.agent) == (row.person, row.agent):
                scope = _covering(given.scope, row.tool)
                return DelegationFacts(f"dlg-{number}", scope, given.max_impact, given.expires_at, [])
        return None


@lru_cache(maxsize=TABLES)
def read_table(source: Text) -> Table:
    """Read a decision table. Raises `PackRefused` with the file, the line of the case, and what is wrong with it."""
    value = read_yaml(source)
    try:
        table = msgspec.convert(_with_lines(value, source.text), Table)
    except msgspec.ValidationError as error:
        raise PackRefused([_misfit(str(error), source)]) from None
    for row in table.cases:
        try:
            table.input_of(row)
            _must_be_askable(table, row)
        except (KeyError, ValueError) as error:
            why = f"{error} is defined nowhere in this file" if isinstance(error, KeyError) else str(error)
            what = f"The case {row.case!r} cannot be put together: {why}."
            raise PackRefused([Problem(source.file, row.line, what, "Define every name it uses.")]) from None
    return table


def _must_be_askable(table: Table, row: Row) -> None:
    """Raise `KeyError` for a voter that is not defined, `ValueError` where nobody is asked."""
    if row.asks is not None and row.expect != "needs_approval":
        raise ValueError(f"nobody is asked about a call that comes out as {row.expect}")
    for voter in row.asks.voters if row.asks else ():
        table.person_of(voter, row)


def _misfit(message: str, source: Text) -> Problem:
    """Say on which line a table has something that no table has, and what there is instead."""
    what, _, path = message.partition(" - at `$.")
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"[\w-]+", path)]
    kind = Table if not steps else Row if steps[:-1] == ["cases"] else None
    instead = "Compare it with the tables of the pack, in its cases/."
    if kind is not None and "unknown field" in what:
        instead = f"There are: {', '.join(name for name in kind.__struct_fields__ if name != 'line')}."
    where = f" at {path.rstrip('`')}" if path else ""
    return Problem(source.file, line_of(source.text, steps), f"{what}{where}.", instead)


def _with_lines(value: Any, text: str) -> Any:
    """Write into each row of a table on which line of its file it begins."""
    rows = value.get("cases") if isinstance(value, dict) else None
    for row, line in zip(rows if isinstance(rows, list) else [], lines_in(text, "cases"), strict=False):
        if isinstance(row, dict):
            row["line"] = line
    return value


def mode_of(row: Row) -> Mode:
    """Say who acts: a person directly, an agent for a person, or an agent by itself. Raises `ValueError`: nobody."""
    if row.person is None and row.agent is None:
        raise ValueError("it names neither a person nor an agent")
    if row.agent is None:
        return "user_direct"
    return "user_delegated" if row.person else "autonomous"


def _covering(patterns: list[str], tool: str) -> list[str]:
    server, _, name = tool.partition("/")
    return [pattern for pattern in patterns if covers(pattern, server, name)]


def _rights(rights: list[Right], row: Row) -> list[Entitlement]:
    return [
        Entitlement(f"ent-{number}", right.permission, right.via, right.constraints, right.expires_at)
        for number, right in enumerate(rights, 1)
        if _covering([right.tool], row.tool)
    ]


def _approval(row: Row) -> ApprovalInput | None:
    if not row.approved:
        return None
    return ApprovalInput(
        id="apr_1", gates=row.approved, approvers=["carol"], approved_until="9999-12-31T23:59:59Z", uses_left=1
    )
