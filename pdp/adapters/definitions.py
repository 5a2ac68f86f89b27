"""Definitions: what the server lists at this moment, with the digests that the PDP knows them by.

The form digested is what a client of protocol 2026-07-28 gets: `execution`, which only older clients are shown, is left
out, so that the digest does not depend on who calls. Digests are remembered by content, never by name or identity: a
definition that drifts while the server runs is another content, and is noticed at the next call.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from ..query import definition_digest, digest

MAX_REMEMBERED = 4096  # digests; the largest real server lists 117 tools
ONLY_OLDER = "execution"  # of 2025-11-25, removed in 2026-07-28
TOOLSET_TAG = "mcp-pdp/toolset/v1"


class Definition(Struct, frozen=True):
    """One tool as listed now: its wire form and the digest of that."""

    name: str
    wire: dict[str, Any]
    digest: str


class Definitions(Struct, frozen=True):
    """All tools as listed now. A name that stands for two definitions stands for none."""

    by_name: dict[str, Definition]
    toolset_digest: str


class Digests:
    """Reads lists of definitions; what was digested before is not digested again."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def read(self, tools: Sequence[dict[str, Any]]) -> Definitions:
        """Return the definitions of a `tools/list`. One that has no canonical form is left out: nobody may call it."""
        times = Counter(str(tool.get("name")) for tool in tools)  # also of what is left out: it would be shown as well
        found = [definition for definition in map(self._definition, tools) if definition is not None]
        unique = {definition.name: definition for definition in found if times[definition.name] == 1}
        return Definitions(unique, self._toolset(unique))

    def _definition(self, tool: dict[str, Any]) -> Definition | None:
        wire = {key: value for key, value in tool.items() if key != ONLY_OLDER}
        try:
            content = msgspec.json.encode(wire)
            known = self._known.get(content) or self._keep(content, definition_digest(wire))
        except (ValueError, TypeError):  # half of a surrogate pair, a number that is none
            return None
        return Definition(str(tool.get("name")), wire, known)

    def _toolset(self, definitions: dict[str, Definition]) -> str:
        rows = sorted([definition.name, definition.digest] for definition in definitions.values())
        content = msgspec.json.encode(rows)
        return self._known.get(content) or self._keep(content, digest(TOOLSET_TAG, rows))

    def _keep(self, content: bytes, value: str) -> str:
        self._known[content] = value
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return value
