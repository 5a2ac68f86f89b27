"""Mutants of a policy file: one line dropped, comparison flipped, constant swapped, test negated or field renamed.

Made on OPA's own parse, whose nodes know where they stand, so that a change is one of meaning and never of a comment.
"""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FLIPPED = {
    "equal": ["!="],
    "neq": ["=="],
    "lt": [">=", "<="],
    "lte": [">", "<"],
    "gt": ["<=", ">="],
    "gte": ["<", ">"],
}
NUMBER = re.compile(r"-?\d+(\.\d+)?")
NAME = re.compile(r"[A-Za-z_]\w*")
QUOTED = ('"', "`")


class Mutant(NamedTuple):
    """A changed policy file. `rule` is where, `was` and `now` the line that changed, `text` the whole file."""

    file: str
    kind: str
    rule: str
    line: int
    was: str
    now: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.was}   =>   {self.now or '(nothing)'}"


class Change(NamedTuple):
    """A piece of text to be replaced: the first is what the file says there, at an offset."""

    kind: str
    rule: str
    at: int
    old: str
    new: str


def mutants(opa: Path, root: Path, file: str) -> list[Mutant]:
    """Return every mutant of one policy file below `root`, no two of them alike."""
    text = (root / file).read_text()
    command = [str(opa), "parse", "--format", "json", "--json-include", "locations", file]
    module = json.loads(subprocess.run(command, cwd=root, capture_output=True, check=True).stdout)
    made = (_mutant(file, text, change) for change in _Mutating(module, text).changes())
    return list({mutant.text: mutant for mutant in made if mutant.text != text}.values())


def _mutant(file: str, text: str, change: Change) -> Mutant:
    before, after = text[: change.at], text[change.at + len(change.old) :]
    line = before.count("\n") + 1
    changed = before + change.new + after
    was = text.split("\n")[line - 1].strip()
    now = changed.split("\n")[line - 1].strip() if change.new else ""
    return Mutant(file, change.kind, change.rule, line, was, now, changed)


class _Mutating:
    def __init__(self, module: dict[str, Any], text: str) -> None:
        self._rules = module.get("rules", [])
        self._text = text
        self._starts = [0]
        for line in text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        imports = module.get("imports", [])
        self._imported = {entry.get("alias") or entry["path"]["value"][-1]["value"] for entry in imports}

    def changes(self) -> Iterator[Change]:
        """Return every change, in the order of the file."""
        names = [rule["head"]["ref"][0]["value"] for rule in self._rules]
        for rule, name in zip(self._rules, names, strict=True):
            if names.count(name) > 1:
                yield from self._replace("drop", name, rule, "")
            for node in _nodes(rule):
                yield from self._of(node, name)

    def _of(self, node: dict[str, Any], rule: str) -> Iterator[Change]:
        if "terms" in node:
            yield from self._expression(node, rule)
        elif node.get("type") == "call":
            yield from self._flip(node["value"][0], rule)
        elif node.get("type") == "ref":
            yield from self._rename(node["value"], rule)
        elif node.get("type") in {"string", "number", "boolean"}:
            yield from self._swap(node, rule)

    def _expression(self, node: dict[str, Any], rule: str) -> Iterator[Change]:
        said = self._said(node)
        if said is None:
            return
        yield Change("drop", rule, *said, "true")
        if node.get("negated"):
            yield Change("negate", rule, *said, said[1].removeprefix("not "))
        elif isinstance(node["terms"], list):
            yield from self._flip(node["terms"][0], rule)
            yield Change("negate", rule, *said, f"not {said[1]}")
        elif "symbols" not in node["terms"]:
            yield Change("negate", rule, *said, f"not {said[1]}")

    def _flip(self, operator: dict[str, Any], rule: str) -> Iterator[Change]:
        name = ".".join(str(part["value"]) for part in operator["value"])
        for other in FLIPPED.get(name, []):
            yield from self._replace("flip", rule, operator, other)

    def _rename(self, parts: list[dict[str, Any]], rule: str) -> Iterator[Change]:
        """Rename each field that a reference names; a word or a built-in under another name would not compile."""
        for part in parts[1:]:
            said = self._said(part)
            if said and part["type"] == "string" and NAME.fullmatch(said[1]):
                yield Change("rename", rule, *said, f"{said[1]}_x")

    def _swap(self, node: dict[str, Any], rule: str) -> Iterator[Change]:
        said = self._said(node)
        if said is None:
            return
        if said[1].startswith(QUOTED):
            yield Change("swap", rule, *said, '"mutant"' if node["value"] else '"x"')
        elif NUMBER.fullmatch(said[1]):
            yield Change("swap", rule, *said, str(json.loads(said[1]) + 1))
        elif said[1] in {"true", "false"}:
            yield Change("swap", rule, *said, "false" if said[1] == "true" else "true")

    def _replace(self, kind: str, rule: str, node: dict[str, Any], new: str) -> Iterator[Change]:
        said = self._said(node)
        if said is not None:
            yield Change(kind, rule, *said, new)

    def _said(self, node: dict[str, Any]) -> tuple[int, str] | None:
        """Return where a node stands and what it says; None for what OPA made up itself, such as a missing `true`."""
        location = node.get("location", {})
        said = base64.b64decode(location.get("text", "")).decode()
        columns = location.get("col", 1) - 1
        at = self._starts[location.get("row", 1) - 1] + columns
        return (at, said) if said and self._text.startswith(said, at) else None


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for key, below in node.items():
            if key not in {"annotations", "location"}:
                yield from _nodes(below)
    elif isinstance(node, list):
        for below in node:
            yield from _nodes(below)
