"""Hints: where values come from that may matter to a rule: its call, its examples, and the values it reads. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from msgspec import UNSET

from ..times import parse_rfc3339, rfc3339
from .facts import Fact, everything_at
from .kinds import all_choices, kind_at
from .law import Rule
from .patch import Path, leaves, value_at

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PATTERN = re.compile(r"[^/\s]+/[^/\s]+")  # server/tool, in either part a `*`
NAMES = {"id", "via", "permission", "pointer", "op"}  # of a right, say which it is: another of these is another right
MAX_VALUES = 40  # of one sort tried for a fact: a list of config may be longer than anybody waits
LAST_YEAR = 9999  # of a right that does not expire; a day later there is no time
A_DAY = timedelta(days=1)
NEAR = (timedelta(0), timedelta(seconds=1), timedelta(seconds=-1), A_DAY, -A_DAY)  # a time, and around it


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Where values worth trying come from: the call, the deciding rules with their good and bad, and what they read.

    `masked` are pointers to facts that nobody knows.
    """

    call: dict[str, Any]
    rules: tuple[Rule, ...]
    facts: tuple[Fact, ...]
    values: tuple[Fact, ...]
    literals: tuple[Any, ...]
    masked: tuple[str, ...]

    @cached_property
    def tool(self) -> str:
        """Return `server/name` of the call's tool, which is also the narrowest pattern that covers it."""
        return f"{self.call['tool']['server']}/{self.call['tool']['name']}"

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """Return the inputs of the rules' METADATA, the good ones first."""
        good = [example for rule in self.rules for example in rule.good]
        return good + [example for rule in self.rules for example in rule.bad]

    @cached_property
    def scalars(self) -> list[Any]:
        """Return every single value of config, of the rule's own text and of the facts that are no names, each once."""
        keys = [key for fact in self.values if isinstance(fact.value, dict) for key in fact.value]
        values = [item for fact in self.values if fact.value is not UNSET for _, item in leaves(fact.value)]
        found = [pair for fact in self.facts if fact.value is not UNSET for pair in leaves(fact.value, fact.path)]
        facts = [item for path, item in found if path[-1] not in NAMES and not kind_at(path).choices]
        return once(item for item in (*values, *self.literals, *facts, *keys) if isinstance(item, str | int | float))

    @cached_property
    def numbers(self) -> list[float]:
        """Return the numbers among them."""
        return [item for item in self.scalars if not isinstance(item, str | bool)][:MAX_VALUES]

    @cached_property
    def strings(self) -> list[str]:
        """Return the texts among them, but no times, nor names of modes and kinds, which stand elsewhere."""
        texts = [item for item in self.scalars if isinstance(item, str) and not TIME.fullmatch(item)]
        return [text for text in texts if text not in all_choices()]

    @cached_property
    def times(self) -> list[str]:
        """Return the times among them, and moments around each."""
        found = [item for item in self.scalars if isinstance(item, str) and TIME.fullmatch(item)]
        moments = [moment for moment in map(parse_rfc3339, found[:MAX_VALUES]) if 1 < moment.year < LAST_YEAR]
        return once(rfc3339(moment + step) for moment in moments for step in NEAR)

    def texts(self, path: Path) -> list[str]:
        """Return texts that may stand at a path: those known, and those the examples have there."""
        wild = tuple("*" if step.isdecimal() else step for step in path)
        there = [item for example in self.examples for item in everything_at(example, wild)]
        texts = [item for item in there if isinstance(item, str) and not TIME.fullmatch(item)]
        return once(self.adapted(item) for item in (*self.strings, *texts))[:MAX_VALUES]

    def together(self, path: Path) -> dict[str, Any]:
        """Return the object that the good examples have at a path; several rules may each show a part of it."""
        whole: dict[str, Any] = {}
        for rule in reversed(self.rules):
            for example in reversed(rule.good):
                part = value_at(example, path)
                whole |= self.adapted(part) if isinstance(part, dict) else {}
        return whole

    def adapted(self, value: Any) -> Any:
        """Return a value of an example, moved to the time and the tool of the call."""
        if isinstance(value, dict):
            return {name: self.adapted(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.adapted(item) for item in value]
        if isinstance(value, str) and TIME.fullmatch(value):
            return rfc3339(parse_rfc3339(self.call["now"]) + A_DAY)
        return self.tool if isinstance(value, str) and PATTERN.fullmatch(value) else value


def once(values: Iterable[Any]) -> list[Any]:
    """Return each value once, in order; true is not 1."""
    return list({(type(value), value): value for value in values}.values())
