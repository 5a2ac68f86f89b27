"""One call as the flags of `pdp try` describe it, by the same Structs as the tables of cases."""

from dataclasses import dataclass
from typing import Any

import msgspec

from ..enrich import Impact
from ..errors import Fault
from ..policy.cases import Agent, Delegation, Kind, Person, Right, Row, Table

CLASSES = ("read", "write", "external", "destructive", "privileged")
LACKING = ("right", "ceiling", "delegation", "scopes")


@dataclass(frozen=True, kw_only=True)
class Call:
    """The flags. `labels` are the tool's, or an argument's when they read `/pointer=label`."""

    tool: str
    risk_class: Impact
    labels: tuple[str, ...]
    scopes: tuple[str, ...]
    arguments: tuple[str, ...]
    person: str | None
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    agent: str | None
    impact: Impact
    lacking: tuple[str, ...]
    risk: float
    first_use: bool
    approved: tuple[str, ...]
    now: str

    def document(self) -> dict[str, Any]:
        """Return the policy input of the call. Raises `Fault` when the flags make no call."""
        try:
            document: dict[str, Any] = msgspec.to_builtins(self._table().input_of(self._row()))
        except ValueError as error:
            raise Fault(f"These flags make no call: {error}. See `pdp try --help`.") from None
        return document

    def assumed(self) -> list[str]:
        """Say what was taken for granted about the callers."""
        said = [f"{self.person} holds a right to {self.tool}"] if self.person and self._holds("right") else []
        if self.agent is not None:
            alone = not self.person and self._holds("right")
            said += [f"{self.agent} holds a right to {self.tool}"] if alone else []
            said += [f"the ceiling of {self.agent} covers it"] if self._holds("ceiling") else []
            said += [f"{self.person} lets {self.agent} do it"] if self.person and self._holds("delegation") else []
        return said

    def _holds(self, what: str) -> bool:
        return what not in self.lacking

    def _table(self) -> Table:
        if len(self.tool.split("/")) != 2 or not all(self.tool.split("/")):  # noqa: PLR2004  # server and name
            raise ValueError("--tool is SERVER/TOOL")
        rights = [Right(self.tool)] if self._holds("right") else []
        covers = [self.tool]
        agent = Agent(self.impact, covers if self._holds("ceiling") else [], rights=rights)
        delegations = []
        if self.person and self.agent and self._holds("delegation"):
            delegations = [Delegation(self.person, self.agent, covers, self.impact)]
        return Table(
            tools={self.tool: self._kind()},
            cases=[],
            people={self.person: Person([*self.roles], [*self.groups], rights)} if self.person else {},
            agents={self.agent: agent} if self.agent else {},
            delegations=delegations,
        )

    def _kind(self) -> Kind:
        places: dict[str, list[str]] = {}
        for label in self.labels:
            if label.startswith("/"):
                pointer, name = _pair("--label", label)
                places.setdefault(pointer, []).append(name)
        labels = [label for label in self.labels if not label.startswith("/")]
        return Kind(self.risk_class, labels, [*self.scopes], places)

    def _row(self) -> Row:
        return Row(
            case="",
            tool=self.tool,
            expect="allow",
            person=self.person,
            agent=self.agent,
            arguments={name: _value(text) for name, text in (_pair("--arg", given) for given in self.arguments)},
            scopes=[*self.scopes] if self._holds("scopes") else [],
            risk=self.risk,
            first_use=self.first_use,
            approved=[*self.approved],
            now=self.now,
        )


def _pair(flag: str, given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not (name and separator):
        raise ValueError(f"{flag} is NAME=VALUE")
    return name, value


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
