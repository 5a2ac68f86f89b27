"""What a fact might have been instead: values that may matter to a rule, from its schema, examples and config. Pure.

Nothing here says that a change helps: `flips` evaluates each one. These are only worth trying.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import msgspec
from msgspec import UNSET

from ..enrich import Impact
from ..registry.parsed import PATH, URL, take_apart
from ..times import parse_rfc3339
from .facts import Fact
from .hints import MAX_VALUES, NAMES, TIME, Hints, once
from .kinds import Kind, kind_at
from .patch import Change, Op, Path, leaves, named, patched, pointer_of, shown, steps_of, value_at

MAX_MEMBERS = 40  # of an object or a list that are changed one by one
LIMITS: dict[Path, tuple[int, int]] = {
    ("risk", "score"): (0, 100),
    ("clock", "hour"): (0, 23),
    ("clock", "weekday"): (0, 6),
}
ALL_OF = 24  # values: a range as small as the hours of a day is tried whole
PATTERNS = {("caller", "agent", "ceiling"), ("caller", "delegation", "scope")}  # already cut to what covers the tool
FIXED = {  # which call it is: another of these is another call, not this one under other facts
    ("caller", "mode"),
    ("caller", "person", "id"),
    ("caller", "agent", "id"),
    ("tool", "server"),
    ("tool", "name"),
}
IMPACTS: tuple[str, ...] = get_args(Impact)
LEAST = 0.01  # the step of a number that is not whole: what a score is shown in
UNLIKELY = 100.0  # a size for what is tried because nothing nearer may do
DATE = re.compile(r"\d{4}-\d\d-\d\d")
NEVER = "9999-12-31T23:59:59Z"


def candidates(hints: Hints) -> Iterator[Change]:
    """Yield changes of one fact each that may make the rules of `hints` answer otherwise."""
    if hints.call["caller"]["mode"] == "user_delegated" and "person" in hints.call["caller"]:
        yield _directly(hints.call)
    for fact in hints.facts:
        if not any(fact.pointer == masked or fact.pointer.startswith(masked + "/") for masked in hints.masked):
            for change in _of_fact(fact, hints):
                yield _coherent(change, hints.call)


def approved(gates: Sequence[str], call: dict[str, Any]) -> Change:
    """Return the change that a human's approval of these gates would be, beside those already approved."""
    before = call.get("approval", {}).get("gates", [])
    value = {"id": "apr_tried", "gates": [*before, *gates], "approvers": ["tried"], "approved_until": NEVER}
    words = f"a human approves {', '.join(gates)}"
    return Change(("approval",), words, [Op("add", "/approval", value | {"uses_left": 1})])


def replaced(path: Path, before: Any, after: Any, size: float = 0.0) -> Change:
    """Return the change of one value; `before` is `UNSET` where there was none."""
    if before is UNSET:
        words = f"{named(path)} is {shown(after)} (it was missing)"
        return Change(path, words, [Op("add", pointer_of(path), after)], size)
    words = f"{named(path)} is {shown(after)} instead of {shown(before)}"
    return Change(path, words, [Op("replace", pointer_of(path), after)], size)


def _directly(call: dict[str, Any]) -> Change:
    gone = [Op("remove", f"/caller/{part}") for part in ("agent", "delegation") if part in call["caller"]]
    patch = [Op("replace", "/caller/mode", "user_direct"), *gone]
    return Change(("caller", "mode"), "the person calls directly, without the agent", patch, UNLIKELY)


def _of_fact(fact: Fact, hints: Hints) -> Iterator[Change]:
    if fact.path in FIXED:
        return
    if fact.path[0] == "parsed":
        yield from _taken_apart(hints)
    elif fact.value is UNSET:
        yield from _missing(fact.path, hints)
    else:
        yield from _instead(fact.path, fact.value, hints)


def _instead(path: Path, value: Any, hints: Hints) -> Iterator[Change]:
    kind = kind_at(path)
    if isinstance(value, dict):
        yield from _members(path, value, hints)
    elif isinstance(value, list):
        yield from _items(path, value, kind, hints)
    elif isinstance(value, bool):
        yield replaced(path, value, not value)
    else:
        yield from (replaced(path, value, other, size) for other, size in _others(path, value, kind, hints))
    if path[0] == "arguments" and len(path) > 1:
        yield _left_out(path)


def _others(path: Path, value: Any, kind: Kind, hints: Hints) -> Iterator[tuple[Any, float]]:
    """Yield other single values, with how far each is from `value`."""
    if kind.choices:
        yield from ((choice, _impacts_between(value, choice)) for choice in kind.choices if choice != value)
    elif isinstance(value, int | float):
        yield from ((other, abs(other - value)) for other in _numbers(path, value, hints) if other != value)
    elif isinstance(value, str) and TIME.fullmatch(value):
        yield from ((other, _seconds_between(value, other)) for other in hints.times if other != value)
    elif isinstance(value, str):
        dates = [other for other in hints.strings if DATE.fullmatch(other)]
        texts = dates if DATE.fullmatch(value) else hints.texts(path)
        yield from ((other, float(n)) for n, other in enumerate(texts) if other != value)


def _numbers(path: Path, value: float, hints: Hints) -> list[float]:
    low, high = LIMITS.get(path, (-math.inf if path[0] == "arguments" else 0, math.inf))
    near = [number + step for number in hints.numbers for step in (0, 1, -1, LEAST, -LEAST)]
    near += range(int(low), int(high) + 1) if high - low < ALL_OF else ()
    near = [number for number in near if low <= number <= high]
    if isinstance(value, int):
        return once(int(number) for number in near if float(number).is_integer())
    return once(round(float(number), 2) for number in near)


def _members(path: Path, value: dict[str, Any], hints: Hints) -> Iterator[Change]:
    for name, item in list(value.items())[:MAX_MEMBERS]:
        yield from _instead((*path, name), item, hints)
        if path[0] != "arguments" and name not in kind_at(path).required:
            yield _left_out((*path, name))
    if path == ("arguments",):
        yield from _arguments_lacking(value, hints)


def _left_out(path: Path) -> Change:
    return Change(path, f"{named(path)} is left out", [Op("remove", pointer_of(path))], UNLIKELY)


def _arguments_lacking(arguments: dict[str, Any], hints: Hints) -> Iterator[Change]:
    """Yield arguments that labels or config name and that the call does not have."""
    pointers = [*hints.call["tool"]["argument_labels"], *(item for item in hints.strings if item.startswith("/"))]
    for pointer in once(pointers)[:MAX_VALUES]:
        path = steps_of(pointer)
        if value_at(arguments, path) is UNSET and isinstance(value_at(arguments, path[:-1]), dict):
            at = ("arguments", *path)
            yield from (replaced(at, UNSET, other) for other in (*hints.numbers, *hints.texts(at)))


def _items(path: Path, value: list[Any], kind: Kind, hints: Hints) -> Iterator[Change]:
    if kind.items == "object":
        yield from _rights(path, value, hints)
    else:
        yield from (_gains(path, [item], shown(item)) for item in _items_known(path, value, hints))
        yield from (_gains(path, more, " and ".join(map(shown, more)), 2.0) for more in _lists_lacking(value, hints))
    for number, item in enumerate(value[:MAX_MEMBERS]):
        lost = [Op("remove", pointer_of((*path, str(number))))]
        yield Change(path, f"{named(path)} loses {shown(item)}", lost, 1.0)
    if len(value) > 1:
        yield Change(path, f"{named(path)} is empty", [Op("replace", pointer_of(path), [])], UNLIKELY)


def _items_known(path: Path, value: list[Any], hints: Hints) -> list[Any]:
    if path in PATTERNS:
        return [hints.tool] if hints.tool not in value else []
    numbers = bool(value) and all(isinstance(item, int | float) for item in value)
    return [item for item in (hints.numbers if numbers else hints.texts(path)) if item not in value]


def _gains(path: Path, items: Sequence[Any], what: str, size: float = 0.0) -> Change:
    ops = [Op("add", f"{pointer_of(path)}/-", item) for item in items]
    return Change(path, f"{named(path)} gains {what}", ops, size)


def _lists_lacking(value: list[Any], hints: Hints) -> Iterator[list[Any]]:
    """Yield what a list lacks of each other list that the rules read: all required scopes at once."""
    for fact in (*hints.facts, *hints.values):
        if isinstance(fact.value, list) and all(isinstance(item, str) for item in fact.value):
            lacking = [item for item in fact.value if item not in value]
            if len(lacking) > 1:
                yield lacking


def _rights(path: Path, value: list[Any], hints: Hints) -> Iterator[Change]:
    """Yield new members of a list of objects, such as rights, and other values in those there are."""
    yield from (_gains(path, [entry], words) for entry, words in _entries(path, hints))
    for number, item in enumerate(value[:MAX_MEMBERS]):
        for below, leaf in leaves(item, (*path, str(number))):
            if below[-1] not in NAMES and leaf != []:
                yield from _instead(below, leaf, hints)


def _entries(path: Path, hints: Hints) -> Iterator[tuple[Any, str]]:
    """Yield whole members of a list of objects, first without conditions; and what matters in each, in words."""
    kind = kind_at((*path, "0"))
    for example in hints.examples:
        listed = value_at(example, path)
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict):
                free = {name: [] if isinstance(item, list) else item for name, item in entry.items()}
                for form in (hints.adapted(free), hints.adapted(entry)):
                    yield from ((variant, shown(form)) for variant in kind.variants(form))


def _missing(path: Path, hints: Hints) -> Iterator[Change]:
    """Yield what could stand where there is nothing: as the examples show it, complete by the schema."""
    kind = kind_at(path)
    if kind.type == "object":
        example = hints.together(path)
        yield from (replaced(path, UNSET, variant) for variant in kind.variants(example) if example)
    elif kind.type == "array":
        texts = [hints.tool] if path in PATTERNS else hints.texts(path)
        yield from (replaced(path, UNSET, [text]) for text in texts)
    elif kind.choices:
        yield from (replaced(path, UNSET, choice) for choice in kind.choices)
    else:
        yield from (replaced(path, UNSET, item) for item in hints.scalars[:MAX_VALUES])


def _taken_apart(hints: Hints) -> Iterator[Change]:
    """Yield other paths and URLs for the arguments that are labelled so: `parsed` follows from them."""
    for pointer, names in hints.call["tool"]["argument_labels"].items():
        path = ("arguments", *steps_of(pointer))
        places = [item.rstrip("/") + rest for item in hints.strings for rest in ("", "/x") if item.startswith("/")]
        hosts = [f"https://{item.removeprefix('*.')}/" for item in hints.strings if "." in item and "/" not in item]
        others = once((places if PATH in names else []) + (hosts if URL in names else []))[:MAX_VALUES]
        before = value_at(hints.call, path)
        yield from (replaced(path, before, other, float(n)) for n, other in enumerate(others) if other != before)


def _coherent(change: Change, call: dict[str, Any]) -> Change:
    """Let `parsed` follow the arguments it is made from."""
    labels = call["tool"]["argument_labels"]
    if change.fact[0] != "arguments" or not any({PATH, URL} & set(names) for names in labels.values()):
        return change
    parsed = msgspec.to_builtins(take_apart(patched(call, change.patch)["arguments"], labels))
    if parsed == call["parsed"]:
        return change
    return Change(change.fact, change.words, [*change.patch, Op("replace", "/parsed", parsed)], change.size)


def _impacts_between(one: Any, other: str) -> float:
    return abs(IMPACTS.index(one) - IMPACTS.index(other)) if one in IMPACTS and other in IMPACTS else 0.0


def _seconds_between(one: str, other: str) -> float:
    return abs((parse_rfc3339(one) - parse_rfc3339(other)).total_seconds())
