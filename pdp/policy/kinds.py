"""What the schema of the policy input says about a place in it: its type, its choices, what its members are. Pure."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from .schema import input_schema

FILLED = {"string": "tried", "array": [], "object": {}, "integer": 0, "number": 0, "boolean": False}


class Kind(Struct, frozen=True):
    """One place: `type` and `items` are JSON Schema's names, empty where anything goes."""

    type: str = ""
    choices: tuple[str, ...] = ()
    items: str = ""
    members: dict[str, "Kind"] = {}
    required: tuple[str, ...] = ()

    def variants(self, example: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield `example` with every required member, in it each choice of its first member that has choices."""
        whole = {name: FILLED.get(self.members[name].type) for name in self.required} | example
        chosen = next((name for name, kind in self.members.items() if kind.choices), None)
        if chosen is None:
            yield whole
        else:
            yield from (whole | {chosen: choice} for choice in self.members[chosen].choices)


def kind_at(path: Sequence[str]) -> Kind:
    """Return the kind of a place in the input; where the schema ends, anything goes."""
    node = _resolved(input_schema())
    for step in path:
        node = _resolved(_below(node, step))
    return _kind(node)


@cache
def all_choices() -> frozenset[str]:
    """Return every value that the schema lists for some place."""
    kinds = [_kind(node) for node in input_schema()["$defs"].values()]
    return frozenset(choice for kind in kinds for member in kind.members.values() for choice in member.choices)


def _below(node: dict[str, Any], step: str) -> dict[str, Any]:
    if "items" in node:
        return dict(node["items"])
    return dict(node.get("properties", {}).get(step) or node.get("additionalProperties") or {})


def _kind(node: dict[str, Any]) -> Kind:
    members = {name: _kind(_resolved(member)) for name, member in node.get("properties", {}).items()}
    items = _resolved(node.get("items", {})).get("type", "")
    return Kind(node.get("type", ""), tuple(node.get("enum", ())), items, members, tuple(node.get("required", ())))


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = input_schema()["$defs"][node["$ref"].rpartition("/")[2]]
    return node
