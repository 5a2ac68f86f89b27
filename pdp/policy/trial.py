"""Tries: what the policy that runs says to calls nobody made, through the PDP's own reading of its reply."""

import asyncio
from typing import NamedTuple

import msgspec
import yaml

from ..decide import Verdict, read_reply, refused, verdict_from
from ..engine import VERDICT, Engine
from ..errors import Refused
from .cases import Row, read_table
from .pack import Pack
from .problem import PackRefused, Problem
from .sources import Text

WITHIN_S = 5.0  # one evaluation takes a fraction of a millisecond; the engine may still be warming up


class Said(NamedTuple):
    """A verdict, and every guard and gate that spoke against the call, also those that a deny does not mention."""

    verdict: Verdict
    broken_guards: list[str]
    shut_gates: list[str]


class Tried(NamedTuple):
    """A row of a table, where it stands, and what came of it."""

    file: str
    line: int
    row: Row
    verdict: Verdict

    @property
    def because(self) -> list[str]:
        """Return the codes of its reasons."""
        return sorted(reason.code for reason in self.verdict.reasons)

    @property
    def duties(self) -> list[str]:
        """Return the types of what is owed."""
        return [duty["type"] for duty in self.verdict.duties]

    @property
    def differs(self) -> bool:
        """Say whether it came out otherwise than the row expects."""
        expected = (self.row.expect, sorted(self.row.because), sorted(self.row.duties))
        return (self.verdict.effect, self.because, sorted(self.duties)) != expected

    def problem(self) -> Problem:
        """Say what came out otherwise."""
        expected = _outcome(self.row.expect, sorted(self.row.because), self.row.duties)
        got = _outcome(self.verdict.effect, self.because, self.duties)
        what = f"The case {self.row.case!r} comes out otherwise: {expected} is expected, it is {got}."
        return Problem(self.file, self.line, what, "Correct the rule, its values, or the case.")


async def ask(engine: Engine, pack: Pack, document: bytes) -> Said:
    """Return what is said to one policy input; where the engine gives no verdict, the deny that callers would get."""
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    try:
        reply = read_reply(await engine.evaluate(VERDICT, document, deadline), pack)
    except Refused as refusal:
        return Said(refused(refusal), [], [])
    return Said(verdict_from(reply, pack), reply.broken_guards, reply.shut_gates)


async def try_table(engine: Engine, pack: Pack, source: Text) -> list[Tried]:
    """Run every row of a decision table. Raises `PackRefused` when it cannot be read."""
    table, lines = read_table(source), _lines(source)
    return [
        Tried(source.file, line, row, (await ask(engine, pack, msgspec.json.encode(table.input_of(row)))).verdict)
        for line, row in zip(lines, table.cases, strict=True)
    ]


async def try_tables(engine: Engine, pack: Pack, sources: list[Text]) -> tuple[list[Tried], list[Problem]]:
    """Run several tables; returns what came of the rows, and what is wrong with those tables that cannot be read."""
    tried: list[Tried] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            tried += await try_table(engine, pack, source)
        except PackRefused as refusal:
            problems += refusal.problems
    return tried, problems


def _lines(source: Text) -> list[int]:
    """Return the line on which each case of a table, which was read already, begins."""
    node = yaml.compose(source.text, Loader=yaml.SafeLoader)
    members = node.value if isinstance(node, yaml.MappingNode) else []
    return [case.start_mark.line + 1 for key, rows in members if key.value == "cases" for case in rows.value]


def _outcome(effect: str, because: list[str], duties: list[str]) -> str:
    reasons = f" because {', '.join(because)}" if because else ""
    owed = f" with {', '.join(duties)}" if duties else ""
    return effect + reasons + owed
