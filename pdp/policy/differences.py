"""Differences: what two policies say differently, before anybody is asked: rules, values, words; and who may matter.

Of a rule whose METADATA alone differs the words changed, and no answer can.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from .archive import read_archive
from .bundle import read_content
from .change import REVIEWED
from .compiler import Compiler
from .form import Ast
from .law import Rule
from .pack import Pack
from .patch import Path as Steps
from .patch import leaves, value_at
from .reads import Reads, reads_of
from .sources import FOLDERS

How = Literal["added", "removed", "changed", "words"]


class Whole(Struct, frozen=True):
    """A pack with what its rules read, by code, and every file of it, by code."""

    pack: Pack
    reads: dict[str, Reads]
    texts: dict[str, str]


class RuleDifference(Struct, frozen=True):
    """A rule that differs, or a file of lib/ or pdp/. `review`: an organisation's own permit or duty, new or changed.

    `used_by`: the rules that are written in a changed file of lib/. `text`: a unified diff.
    """

    code: str
    how: How
    file: str
    review: bool
    used_by: list[str]
    text: list[str]


class ValueDifference(Struct, frozen=True, omit_defaults=True):
    """A value of config.yaml that differs; absent on the side that does not have it."""

    path: Steps
    before: Any | UnsetType = UNSET
    after: Any | UnsetType = UNSET


class Differences(Struct, frozen=True):
    """Everything that differs. `touched`: the codes of rules whose answers may."""

    rules: list[RuleDifference]
    shared: list[RuleDifference]
    values: list[ValueDifference]
    touched: list[str]


def whole(pack: Pack, opa: Path, folder: Path) -> Whole:
    """Read what the rules of a pack read. Runs OPA as a parser, in `folder`: call it off the event loop."""
    content = read_content(read_archive(pack.bundle), pack.bundle)
    texts = {source.code: source.text for source in content.sources}
    modules: dict[str, Ast] = Compiler(opa).parse(texts, folder)
    return Whole(pack, {code: reads_of(code, modules) for code in pack.rules}, texts)


def differences(before: Whole, after: Whole) -> Differences:
    """Compare two packs, rule by rule and value by value."""
    rules, shared = list(_rules(before, after)), list(_shared(before, after))
    values = list(_values(before.pack.config, after.pack.config))
    touched = {found.code for found in rules if found.how != "words"}
    touched |= {code for found in shared for code in found.used_by}
    touched |= {code for side in (before, after) for code in _readers(side, values)}
    return Differences(rules, shared, values, sorted(touched))


def _rules(before: Whole, after: Whole) -> Iterator[RuleDifference]:
    old, new = before.pack.rules, after.pack.rules
    for code in sorted(old.keys() | new.keys()):
        if (how := _how(old.get(code), new.get(code))) is not None:
            kept = new.get(code) or old[code]
            review = how in {"added", "changed"} and kept.folder in REVIEWED and kept.file.startswith("org/")
            text = _text(code, before.texts, after.texts)
            yield RuleDifference(code, how, kept.file, review=review, used_by=[], text=text)


def _how(before: Rule | None, after: Rule | None) -> How | None:
    if before is None or after is None:
        return "added" if before is None else "removed"
    if (_body(before.text), before.stage) != (_body(after.text), after.stage):
        return "changed"
    return "words" if before.text != after.text else None


def _shared(before: Whole, after: Whole) -> Iterator[RuleDifference]:
    old, new = before.texts, after.texts
    for code in sorted(old.keys() | new.keys()):
        if code.split(".")[0] in FOLDERS or _body(old.get(code, "")) == _body(new.get(code, "")):
            continue
        how: How = "changed" if code in old and code in new else "added" if code in new else "removed"
        users = {user for side in (before, after) for user in _users(side, code)}
        file = code.replace(".", "/") + ".rego"
        yield RuleDifference(code, how, file, review=False, used_by=sorted(users), text=_text(code, old, new))


def _users(side: Whole, code: str) -> Iterator[str]:
    """Yield the rules written in a file of lib/; every rule is asked by the entrypoint."""
    for rule, reads in side.reads.items():
        if code in reads.words or not code.startswith("lib."):
            yield rule


def _values(before: Any, after: Any, path: Steps = ()) -> Iterator[ValueDifference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from _values(value_at(before, (name,)), value_at(after, (name,)), (*path, name))
    elif before != after:
        whole_section = before is UNSET or after is UNSET
        sections = [path] if not whole_section else [at for at, _ in leaves(after if before is UNSET else before, path)]
        for at in sections:
            below = at[len(path) :]
            yield ValueDifference(at, _at(before, below), _at(after, below))


def _at(value: Any, path: Steps) -> Any:
    return UNSET if value is UNSET else value_at(value, path)


def _readers(side: Whole, values: list[ValueDifference]) -> Iterator[str]:
    for code, reads in side.reads.items():
        places = [[step for step in place.steps if isinstance(step, str)] for place in reads.values]
        if any(_meet(place, found.path) for place in places for found in values):
            yield code


def _meet(place: list[str], path: Steps) -> bool:
    # A place may name a step by a fact, which was left out here: what stands before it is compared.
    return all(one == other for one, other in zip(place[:2], path, strict=False))


def _body(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _text(code: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    old, new = before.get(code, "").splitlines(), after.get(code, "").splitlines()
    return list(difflib.unified_diff(old, new, "A", "B", n=2, lineterm=""))[2:]
