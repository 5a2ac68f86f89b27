"""The facts that a rule had before it: what it reads of one input and of config, with the values that stood there."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from .patch import Path, pointer_of, value_at
from .reads import EACH, Place, Reads


class Fact(Struct, frozen=True, omit_defaults=True):
    """Something a rule reads: `pointer` leads there, from the input or from config; no `value`: there is nothing."""

    pointer: str
    path: Path
    value: Any | UnsetType = UNSET


def facts_of(reads: Reads, call: Any) -> list[Fact]:
    """Return the facts of one input that a rule reads; a list whose members it reads is one fact, and shown whole."""
    return [Fact(pointer_of(path), path, value_at(call, path)) for path in outermost(_cut(reads.facts, call))]


def values_of(reads: Reads, config: Any, call: Any) -> list[Fact]:
    """Return the values of config.yaml that a rule reads when it looks at this input."""
    places = [path for place in reads.values for path in _places(place, call)]
    return [Fact(pointer_of(path), path, value_at(config, path)) for path in outermost(places)]


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that do not lie below another of them, sorted."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not kept or path[: len(kept[-1])] != kept[-1]:
            kept.append(path)
    return kept


def _cut(paths: Iterable[Path], call: Any) -> Iterator[Path]:
    """Cut each path where it goes on to every member, and where there is nothing to go on to."""
    for path in paths:
        whole = path[: path.index(EACH)] if EACH in path else path
        there = next((n for n in range(1, len(whole)) if value_at(call, whole[:n]) is UNSET), len(whole))
        yield whole[:there]


def _places(place: Place, call: Any) -> Iterator[Path]:
    paths: list[Path] = [()]
    for step in place.steps:
        if step == EACH:
            break
        if isinstance(step, Place):
            named = [value for value in everything_at(call, step.steps) if isinstance(value, str)]
            paths = [(*path, name) for path in paths for name in named]
        else:
            paths = [(*path, step) for path in paths]
    yield from paths


def everything_at(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    """Yield every value that a path with `EACH` in it leads to."""
    if not steps:
        yield value
    elif steps[0] != EACH:
        if (further := value_at(value, steps[:1])) is not UNSET:
            yield from everything_at(further, steps[1:])
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from everything_at(member, steps[1:])
