"""Limit: every list of a result is cut to a number of items, and a result of too many bytes is withheld.

Lists are cut at any depth of the structured content, and the text beside it is written anew from what is left, as for
`redact`. A result that is text is cut the same way when it is JSON; of any other text a line is an item. What we
cannot look into (an image, a resource) is withheld. A result that was cut says so: a model would take a part for the
whole.
"""

import json
from typing import Any

from msgspec import Struct

from ..errors import Refused
from .redact import ABOUT, WRAPPER, block_of, complete


class Limit(Struct, frozen=True):
    """How much comes back: items of each list, and bytes of the whole result as JSON. None: any number."""

    max_items: int | None = None
    max_bytes: int | None = None


def limited(result: dict[str, Any], limit: Limit) -> dict[str, Any]:
    """Return as much of a result as the limit lets through. Raises `Refused` `duties.withheld`."""
    kept = complete(result) if limit.max_items is None else _cut(complete(result), limit.max_items)
    size = len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode())
    if limit.max_bytes is not None and size > limit.max_bytes:
        raise Refused("duties.withheld", f"{size} bytes, and the policy lets {limit.max_bytes} through")
    return kept


def _cut(result: dict[str, Any], items: int) -> dict[str, Any]:
    kept = {key: value for key, value in result.items() if key in ABOUT}
    document = _cut_document(result.get("structuredContent"), items)
    if document is None:
        content = [_cut_block(block, items) for block in result["content"][:items]]
        whole = content == result["content"]
    else:
        kept, content = kept | {"structuredContent": document}, [block_of(document)]
        whole = document == result["structuredContent"]
    return kept | {"content": content if whole else [*content, _note(items)]}


def _cut_document(document: Any, items: int) -> Any:
    if isinstance(document, dict) and document.keys() == {WRAPPER} and isinstance(document[WRAPPER], str):
        return {WRAPPER: _cut_text(document[WRAPPER], items)}
    return _shortened(document, items)


def _cut_block(block: dict[str, Any], items: int) -> dict[str, Any]:
    if block.get("type") != "text":
        raise Refused("duties.withheld", f"content of type {block.get('type')}")
    return {"type": "text", "text": _cut_text(block["text"], items)}


def _cut_text(text: str, items: int) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "".join(text.splitlines(keepends=True)[:items])
    short = _shortened(document, items)
    return text if short == document else json.dumps(short, ensure_ascii=False, indent=2)


def _shortened(value: Any, items: int) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(below, items) for key, below in value.items()}
    return [_shortened(below, items) for below in value[:items]] if isinstance(value, list) else value


def _note(items: int) -> dict[str, Any]:
    return {"type": "text", "text": f"Cut by policy: of every list only the first {items} items are here."}
