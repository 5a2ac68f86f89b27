"""Changes of a policy input, as JSON Patch (RFC 6902), and in words an operator understands."""

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Path = tuple[str, ...]
LONGEST_VALUE = 300  # characters of a value in words: more is not read


class Op(Struct, frozen=True, omit_defaults=True):
    """One operation of JSON Patch; `path` is a JSON Pointer."""

    op: Literal["add", "replace", "remove"]
    path: str
    value: Any = UNSET


class Change(Struct, frozen=True):
    """One fact that is otherwise than it was. `size` orders changes of the same fact, the smallest first."""

    fact: Path
    words: str
    patch: list[Op]
    size: float = 0.0


def patched(document: Any, patch: Sequence[Op]) -> Any:
    """Return a copy of `document` with a patch applied. Raises `KeyError` or `IndexError` where it does not fit."""
    changed = copy.deepcopy(document)
    for op in patch:
        *above, last = steps_of(op.path)
        parent = _within(changed, above)
        if isinstance(parent, list):
            _patch_list(parent, last, op)
        elif op.op == "remove":
            del parent[last]
        else:
            parent[last] = copy.deepcopy(op.value)
    return changed


def value_at(document: Any, path: Sequence[str]) -> Any | UnsetType:
    """Return the value at a path, `UNSET` when there is none."""
    try:
        return _within(document, path)
    except (KeyError, IndexError, ValueError, TypeError):
        return UNSET


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value that is no object or list, and every empty one, with its path."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for step, item in pairs:
            yield from leaves(item, (*path, str(step)))
    else:
        yield path, value


def pointer_of(path: Sequence[str]) -> str:
    """Return the JSON Pointer of a path."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


def steps_of(pointer: str) -> Path:
    """Return the path that a JSON Pointer leads along."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def shown(value: Any) -> str:
    """Return a value as text in which nothing moves a cursor or hides, cut where nobody reads on."""
    if isinstance(value, dict) and value.keys() == {"$masked"}:
        return "(masked)"
    text = json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ..."


def named(path: Sequence[str]) -> str:
    """Return a path as people write it, `caller.token.scopes`, safe to print."""
    return ".".join(json.dumps(step)[1:-1] for step in path)


def _patch_list(parent: list[Any], last: str, op: Op) -> None:
    index = len(parent) if last == "-" else int(last)
    if op.op == "add":
        parent.insert(index, copy.deepcopy(op.value))
    elif op.op == "remove":
        del parent[index]
    else:
        parent[index] = copy.deepcopy(op.value)


def _within(document: Any, path: Sequence[str]) -> Any:
    for step in path:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document
