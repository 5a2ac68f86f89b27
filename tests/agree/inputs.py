"""Policy inputs by the thousand, from the rows of the decision tables: recombined, spoilt, and of the wrong types."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from random import Random
from typing import Any

from pdp.policy.losses import INSTEAD, REMOVED, Document, Path
from tests.policy.test_mutations import INPUTS

LOSSES = list(INSTEAD.values())
DEEPEST = 100  # levels: the PDP takes 32 unless told otherwise, and at most 128

ODD: list[Any] = [
    *(False, True, None, 0, -1, 1, 2, 99, 101, 0.1, -0.0, 1.0, 1e3, 1e-7, 1.5e300, -1e308),
    *(2**31, 2**53, 2**53 + 1, 2**63, -(2**64), 10**30),
    *("", " ", "0", "1e3", "true", "null", "[]", "a" * 2000, "A", "\u00e9", "e\u0301", "\U0001f600", "a\0b", "\u2028"),
    *("*", "payments/*", "payments/**", "*/*", "/", "//", "/amount", "~1", "../..", "/srv/../etc", "HTTPS://X@Y:1/z?#"),
    *("9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2026-01-05T10:00:00+01:00", "2026-01-05", "read", "privileged"),
    *([], [[]], [None], [1, "1", True], ["read", "read"], {}, {"": {}}, {"type": "none"}, {"type": 1}, {"$int": "1"}),
]


def generated(random: Random) -> Iterator[tuple[str, Document]]:
    """Yield inputs without end, each with its kind: `valid`, `mutated` or `confused`."""
    pool = values_by_key()
    while True:
        document = recombined(random, pool)
        yield "valid", document
        yield "mutated", changed(random, document, lambda _: random.choice(LOSSES))
        odd = odd_keys(random, document)
        yield "confused", changed(random, odd, partial(confused, random, odd))


def values_by_key() -> dict[tuple[Any, type], list[Any]]:
    """Return what stands in the tables, by the name it stands under and its type."""
    pool = defaultdict(list)
    for document in INPUTS:
        for path in paths(document):
            value = at(document, path)
            pool[path[-1], type(value)].append(value)
    return pool


def recombined(random: Random, pool: dict[tuple[Any, type], list[Any]]) -> Document:
    """Return a row with parts of another and some values of others: every type is right, the sense may not be."""
    document: Document = deepcopy(random.choice(INPUTS))
    other = random.choice(INPUTS)
    for part in other:
        if random.random() < 0.2:
            document[part] = deepcopy(other[part])
    for path in random.sample(list(paths(document)), random.randint(0, 4)):
        value = at(document, path)
        if isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.5:
            document = spoil(document, path, value + random.choice([-1, -0.5, 0.5, 1, 1000, -value]))
        elif same := pool[path[-1], type(value)]:
            document = spoil(document, path, random.choice(same))
    return document


def changed(random: Random, document: Document, instead: Callable[[Path], Any]) -> Document:
    """Return a copy with one to five of its places changed."""
    for path in random.sample(list(paths(document)), random.randint(1, 5)):
        document = spoil(document, path, instead(path))
    return document


def confused(random: Random, document: Document, path: Path) -> Any:
    """Return something odd, something from elsewhere, or what stands there in one layer more."""
    value = at(document, path)
    elsewhere = at(document, random.choice(list(paths(document))))
    return random.choice([random.choice(ODD), random.choice(ODD), elsewhere, [value], {"x": value}, deep(random)])


def odd_keys(random: Random, document: Document) -> Document:
    """Return a copy in which some object has a member it should not have."""
    objects = [path for path in paths(document) if isinstance(at(document, path), dict)]
    path = random.choice(objects)
    name = random.choice(["", "x", "*", "/amount", "type", "\u00e9", "a.b", "0", "__proto__"])
    made: Document = spoil(document, (*path, name), random.choice(ODD))
    return made


def deep(random: Random) -> Any:
    """Return something nested more deeply than any real argument."""
    value: Any = random.choice(ODD)
    for _ in range(random.randint(1, DEEPEST)):
        value = [value] if random.random() < 0.5 else {"x": value}
    return value


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Return the path of every member and item below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*here, key)
        yield from paths(below, (*here, key))


def spoil(document: Any, path: Path, instead: Any) -> Any:
    """Return a copy without what stands at `path`, or with something else there; unchanged when nothing is there."""
    spoilt = deepcopy(document)
    place = at(spoilt, path[:-1])
    try:
        if instead is REMOVED:
            del place[path[-1]]
        else:
            place[path[-1]] = deepcopy(instead)
    except (KeyError, IndexError, TypeError):
        return spoilt
    return spoilt


def at(document: Any, path: Path) -> Any:
    """Return what stands at a path, None where there is nothing any more."""
    for key in path:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return None
    return document
