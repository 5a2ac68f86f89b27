"""Definitions: every known tool definition, close at hand. No database when a decision looks a tool up.

The snapshot follows the change log of the store. When it could not (`store/follow.py`), nothing in it may be relied on:
every question is refused with `facts.stale`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from ..enrich import Impact
from ..errors import Fault, Refused
from ..query import definition_digest
from ..store.changes import MANY, Change, latest, since
from ..store.follow import Follower
from ..store.registry import Name, changed_name, read_server_scopes, read_tools
from ..store.sql import Store, reading
from ..times import Clock
from ..vet import Tool
from .arguments import Checker
from .states import Status

DRIFTS_PER_TOOL = 16  # digests of one tool that are put on record as drift; every refusal is recorded anyway
DRIFTS = 4096  # and of all tools together, so that hostile digests cannot fill memory or log
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")

logger = logging.getLogger(__name__)


class Definition(Struct, frozen=True, kw_only=True):
    """One definition of one tool: what `tools/list` said, and what a person decided about it. Times are RFC 3339."""

    server: str
    name: str
    digest: str
    status: Status
    risk_class: Impact
    labels: list[str]
    owner: str
    required_scopes: list[str]
    argument_labels: dict[str, list[str]]
    definition: dict[str, Any]
    source: str
    submitted_at: str
    reviewed_at: str | None = None
    reviewed_by: str | None = None


class Known(Struct, frozen=True):
    """Everything known about one tool: the status of its definitions by digest, and the one in force, if any."""

    statuses: dict[str, Status]
    approved: Definition | None = None
    tool: Tool | None = None


class Registry:
    """All tools by server and name, as of `revision` or later."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store = store
        self.follower = Follower("the registry", ("registry", "identity"), self._read, now)  # scopes: of servers
        self._known: dict[Name, Known] = {}
        self._scopes: dict[str, list[str]] = {}
        self._checkers: dict[str, Checker] = {}
        self._drifts: dict[Name, set[str]] = {}
        self._statuses: tuple[int, Counter[Status]] = (-1, Counter())
        self.revision = -1

    def age_s(self) -> float:
        """Return the seconds since the store was last followed."""
        return self.follower.age_s()

    def find(self, server: str, name: str) -> Known:
        """Return what is known about a tool; nothing, for an unknown one. Raises `Refused` with `facts.stale`."""
        if why := self.follower.stale():
            raise Refused("facts.stale", why)
        return self._known.get((server, name), NOTHING)

    def knows(self, server: str, name: str) -> bool:
        """Say whether anybody ever submitted a tool of that name."""
        return (server, name) in self._known

    def statuses(self) -> Mapping[Status, int]:
        """Return how many definitions there are of each status; counted once a revision."""
        if self._statuses[0] != self.revision:
            counted = Counter(status for known in self._known.values() for status in known.statuses.values())
            self._statuses = self.revision, counted
        return {status: self._statuses[1][status] for status in get_args(Status)}

    @property
    def drifts(self) -> int:
        """Return how many definitions were shown that nobody approved, of those that are put on record."""
        return sum(map(len, self._drifts.values()))

    def impact(self, server: str, name: str) -> tuple[Impact, dict[str, list[str]]]:
        """Return risk class and argument labels; `privileged` and none for a tool without approved definition."""
        tool = self._known.get((server, name), NOTHING).tool
        return (tool.risk_class, tool.argument_labels) if tool else ("privileged", {})

    def checker(self, definition: Definition) -> Checker:
        """Return the compiled schema of an approved definition. Raises `Fault` when what is stored is not what was
        approved, or does not compile."""
        kept = self._checkers.get(definition.digest)
        if kept is None:
            if definition_digest(definition.definition) != definition.digest:
                raise Fault(f"The stored definition of {definition.server}/{definition.name} is not the approved one.")
            kept = self._checkers[definition.digest] = Checker(definition.definition)
        return kept

    def first_sight(self, server: str, name: str, digest: str | None) -> bool:
        """Say whether this digest of this tool is seen for the first time and shall be put on record."""
        seen = self._drifts.setdefault((server, name), set())
        if digest is None or not DIGEST.match(digest) or digest in seen or len(seen) >= DRIFTS_PER_TOOL:
            return False
        if self.drifts >= DRIFTS:
            return False
        seen.add(digest)
        return True

    def forget_sight(self, server: str, name: str, digest: str) -> None:
        """Take back a first sight that could not be put on record."""
        self._drifts[server, name].discard(digest)

    async def poll(self) -> None:
        """Read what changed since the last poll. Raises `StoreUnavailable`."""
        await self.follower.poll()

    async def _read(self) -> None:
        async with reading(self._store) as connection:
            scopes = await read_server_scopes(connection)
            newest = await latest(connection, "registry")
            changes = await since(connection, "registry", self.revision) if newest > self.revision else []
            names = None if self._must_reread(newest, changes) else _names(changes)
            rows = await read_tools(connection, names) if names is None or names else []
        self._take(scopes, names, rows)
        self.revision = newest

    def _must_reread(self, newest: int, changes: list[Change]) -> bool:
        # the first time; a restored backup; more than was read; a kind that a newer release writes
        return (
            newest < self.revision
            or self.revision < 0
            or len(changes) >= MANY
            or any(c.kind != "tool" for c in changes)
        )

    def _take(self, scopes: dict[str, list[str]], names: set[Name] | None, rows: list[dict[str, Any]]) -> None:
        found: dict[Name, list[Definition]] = {name: [] for name in (self._known if names is None else names)}
        for row in rows:
            found.setdefault((row["server"], row["name"]), []).extend(_readable(row))
        changed = {name: _known(definitions, scopes) for name, definitions in found.items()}
        if scopes != self._scopes:
            rest = {name: _rescoped(known, scopes) for name, known in self._known.items() if name not in changed}
            changed = rest | changed
        if changed:
            self._known = self._known | changed
            in_force = {known.approved.digest for known in self._known.values() if known.approved}
            self._checkers = {digest: kept for digest, kept in self._checkers.items() if digest in in_force}
        self._scopes = scopes


NOTHING = Known({})


def _readable(row: dict[str, Any]) -> list[Definition]:
    try:
        return [msgspec.convert(row, Definition)]
    except msgspec.ValidationError as error:  # unknown is no: what cannot be read is not approved
        logger.warning(
            "a definition of %s/%s cannot be read and counts for nothing: %s", row["server"], row["name"], error
        )
        return []


def _known(definitions: list[Definition], scopes: dict[str, list[str]]) -> Known:
    statuses = {definition.digest: definition.status for definition in definitions}
    approved = next((definition for definition in definitions if definition.status == "approved"), None)
    return _rescoped(Known(statuses, approved), scopes)


def _rescoped(known: Known, scopes: dict[str, list[str]]) -> Known:
    definition = known.approved
    if definition is None:
        return known
    tool = Tool(
        server=definition.server,
        name=definition.name,
        risk_class=definition.risk_class,
        labels=definition.labels,
        owner=definition.owner,
        required_scopes=sorted({*definition.required_scopes, *scopes.get(definition.server, [])}),
        argument_labels=definition.argument_labels,
    )
    return Known(known.statuses, definition, tool)


def _names(changes: list[Change]) -> set[Name]:
    return {changed_name(change.key) for change in changes}
