"""Document: a file that a person wrote, in YAML or JSON, read strictly: a key that stands twice is an error."""

from dataclasses import dataclass
from typing import Any

import yaml

from .errors import Fault, Rejected
from .query import strict_json

MAX_DEPTH = 50  # of lists in lists: the C reader follows them on its stack, and ends the process when that is full
ALIASES_ADD = 1024 * 1024  # characters, written out: ten lines of aliases may stand for a billion values


def read_document(body: bytes, limit: int) -> Any:
    """Return the value in `body`. Raises `Fault` saying what is wrong: more than `limit` bytes, or not one value."""
    if len(body) > limit:
        raise Fault(f"The file has more than {limit} bytes: split it.")
    if body.lstrip()[:1] == b"{":
        try:
            return strict_json(body, limit=limit)
        except Rejected as rejected:
            raise Fault(f"The file cannot be read: {rejected.title}") from None
    try:
        return read_yaml(body)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Fault(f"The file is not YAML: {error}") from None


def read_yaml(text: bytes | str) -> Any:
    """Read YAML whose keys are text, each once in its mapping, and whose dates are text. Raises `yaml.YAMLError`."""
    _must_be_bounded(text)
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a safe loader, made stricter below


@dataclass
class _Extent:
    """How much a value is with its aliases written out, in characters and in levels."""

    anchor: str | None
    size: int = 1
    levels: int = 0


def _must_be_bounded(text: bytes | str) -> None:
    """Look at depth and size while the text is a flat run of events: whoever builds from it has no such limit."""
    most = 2 * len(text) + ALIASES_ADD
    known: dict[str | None, _Extent] = {}
    within = [_Extent(None)]
    for event in yaml.parse(text, Loader=_StrictLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            within.append(_Extent(event.anchor, levels=1))
            ended = None
        elif isinstance(event, yaml.AliasEvent):
            ended = known.get(event.anchor)
            if ended is None:
                raise _wrong("found undefined alias", event)
        elif isinstance(event, yaml.ScalarEvent):
            ended = known[event.anchor] = _Extent(event.anchor, size=1 + len(event.value))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = within.pop()
            known[ended.anchor] = ended
        else:
            continue
        if len(within) + (ended.levels if ended else 0) > MAX_DEPTH:
            raise _wrong(f"it is nested more than {MAX_DEPTH} deep", event)
        if ended:
            _take_in(within[-1], ended)
            if within[-1].size > most:
                raise _wrong("its aliases, written out, are too much", event)


def _take_in(whole: _Extent, part: _Extent) -> None:
    whole.size += part.size
    whole.levels = max(whole.levels, part.levels + 1)


def _wrong(what: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(None, None, what, event.start_mark)


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one is much faster
    """Refuses a key that stands twice (YAML would silently take the last) or is not text; JSON knows no dates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping."""
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        if not all(isinstance(key, str) for key in mapping):
            raise yaml.constructor.ConstructorError(None, None, "a key is not text", node.start_mark)
        return mapping


_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
