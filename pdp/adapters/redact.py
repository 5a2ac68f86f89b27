"""Redact: members of a result are taken out by JSON pointer (RFC 6901) into its structured content.

Text becomes `[redacted]`, so that it still fits an output schema, anything else goes. The text beside structured
content is written anew from what is left. A result that is a list is redacted item by item, also inside the
`{"result": ...}` that the SDK puts around it. Where a member of that name stands deeper than a pointer reaches
(`/ssn`, and a spouse with one), and where there is no JSON to point into, the result cannot be redacted as it is
meant, and is withheld.
"""

import json
from collections.abc import Sequence
from typing import Any

from ..errors import Refused

REDACTED = "[redacted]"
ABOUT = {"isError", "resultType"}  # what else is kept: in a member that we do not know, anything could stand
WRAPPER = "result"  # the SDK's member around what is not an object

Pointer = tuple[str, ...]


def redacted(result: dict[str, Any], pointers: Sequence[Pointer]) -> dict[str, Any]:
    """Return a result without what the pointers name, and without members we do not know.

    Raises `Refused` `duties.withheld`.
    """
    kept = {key: value for key, value in complete(result).items() if key in ABOUT}
    if result.get("structuredContent") is None:
        return kept | {"content": [_redacted_block(block, pointers) for block in result["content"]]}
    document = _redacted(result["structuredContent"], pointers)
    return kept | {"structuredContent": document, "content": [block_of(document)]}


def complete(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result that is one, with content. Raises `Refused` `duties.withheld` for a task, or a question."""
    if result.get("resultType", "complete") != "complete" or "content" not in result:
        raise Refused("duties.withheld", "not a complete result")
    return result


def block_of(document: Any) -> dict[str, Any]:
    """Return a document as a block of text."""
    return {"type": "text", "text": json.dumps(document, ensure_ascii=False, indent=2)}


def _redacted_block(block: dict[str, Any], pointers: Sequence[Pointer]) -> dict[str, Any]:
    if block.get("type") != "text":
        raise Refused("duties.withheld", f"content of type {block.get('type')}")
    try:
        document = json.loads(block["text"])
    except (ValueError, RecursionError):
        raise Refused("duties.withheld", "text that is not JSON") from None
    return block_of(_redacted(document, pointers))


def _redacted(document: Any, pointers: Sequence[Pointer]) -> Any:
    if isinstance(document, dict) and document.keys() == {WRAPPER} and not _names(pointers, WRAPPER):
        return {WRAPPER: _redacted(document[WRAPPER], pointers)}
    if isinstance(document, list):
        return [_redacted(item, pointers) for item in document]
    if document is None:
        return None
    if not isinstance(document, dict):
        raise Refused("duties.withheld", "a plain value that nothing points into")
    for pointer in pointers:
        document, found = _without(document, pointer)
        if (not found or len(pointer) == 1) and _holds(document, pointer[-1]):
            raise Refused("duties.withheld", "a member of that name stands where the pointer does not reach")
    return document


def _names(pointers: Sequence[Pointer], name: str) -> bool:
    return any(pointer[0] == name for pointer in pointers)


def _without(node: Any, pointer: Pointer) -> tuple[Any, bool]:
    """Return a copy of `node` without what the pointer names, and whether it was there."""
    name, rest = pointer[0], pointer[1:]
    if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
        below, found = _without(node[int(name)], rest) if rest else (None, True)
        return [*node[: int(name)], below, *node[int(name) + 1 :]], found
    if not isinstance(node, dict) or name not in node:
        return node, False
    if rest:
        below, found = _without(node[name], rest)
        return node | {name: below}, found
    if isinstance(node[name], str):
        return node | {name: REDACTED}, True
    return {key: value for key, value in node.items() if key != name}, True


def _holds(node: Any, name: str) -> bool:
    """Say whether a member of that name stands anywhere below, not redacted."""
    if isinstance(node, dict):
        return node.get(name, REDACTED) != REDACTED or any(_holds(item, name) for item in node.values())
    return isinstance(node, list) and any(_holds(item, name) for item in node)
