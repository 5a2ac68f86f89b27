"""Questions to ask two policies: the calls of decision tables, and those that the log recorded."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ..audit.entry import Entry
from ..audit.read import entries, last_lines, shards
from .cases import Table
from .known import PEP


class Question(Struct, frozen=True):
    """One call: who made it, and the policy input as JSON. `name` is the decision's id, or the case with its table.

    `masked`: pointers to what the log does not tell of it. `at_ms`: when it was decided; 0 for a case.
    """

    name: str
    person: str
    agent: str
    tool: str
    document: bytes
    masked: tuple[str, ...] = ()
    at_ms: int = 0
    expected: str = ""


def cases_of(*tables: dict[str, Table]) -> list[Question]:
    """Return the calls of decision tables; a table that two packs share is asked once, as the last one has it."""
    together: dict[str, Table] = {}
    for named in tables:
        together |= named
    return [
        Question(
            name=f"{file}: {row.case}",
            person=row.person or "",
            agent=row.agent or "",
            tool=row.tool,
            document=msgspec.json.encode(table.input_of(row)),
            expected=row.expect,
        )
        for file, table in together.items()
        for row in table.cases
    ]


def decisions_of(data_dir: Path, last: int) -> list[Question]:
    """Return the newest `last` recorded decisions that policy was asked about, oldest first; not our own probes."""
    found = [question for directory in shards(data_dir) for question in _newest(directory, last)]
    return sorted(found, key=lambda question: question.at_ms)[-last:] if last else []


def _newest(directory: Path, last: int) -> list[Question]:
    """Read backwards, a longer piece each time, until there are enough decisions among the other entries."""
    count, lines = 2 * last, last_lines(directory, 2 * last)
    while len(found := list(_questions(entries(lines)))) < last and len(lines) == count:
        count *= 4
        lines = last_lines(directory, count)
    return found[-last:]


def _questions(found: Iterable[Entry]) -> Iterator[Question]:
    for entry in found:
        body: dict[str, Any] = entry.body
        if entry.kind == "decision" and body["revisions"].get("policy") and body["pep"] != PEP:
            caller = body.get("caller", {})
            yield Question(
                name=body["id"],
                person=caller.get("person", ""),
                agent=caller.get("agent", ""),
                tool=f"{body['tool']['server']}/{body['tool']['name']}",
                document=msgspec.json.encode(body["input"]),
                masked=tuple(body.get("masked", ())),
                at_ms=entry.at_ms,
            )
