"""Import a feed: all of it or nothing, the same again changes nothing, and every change is told."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from ..audit.office import Office
from ..errors import Fault
from ..store.changes import append, latest
from ..store.feeds import SHAPES, Difference, apply_rows, names_of, nested_groups, unknown_names
from ..store.sql import Store, changing
from .feed import Feed
from .rows import Rows, wanted_rows


class How(Struct, frozen=True):
    """How to import: `dry_run` changes nothing; `prune` names the feed's own source, whose other rows go;
    `expected` is the identity revision the store must still be at.
    """

    dry_run: bool = False
    prune: str | None = None
    expected: int | None = None


AS_IT_IS = How()
NAMED = 5  # names in one error; the reader finds the rest alike


class MovedOn(Fault):
    """The store is no longer at the revision that the importer had looked at."""


async def import_feed(office: Office, feed: Feed, how: How = AS_IT_IS) -> list[Difference]:
    """Import a feed and put what it changed on record, in one: see `import_identity`. Raises `Unrecorded` too."""

    async def told(differences: list[Difference]) -> None:
        counts = Counter(f"{d.table} {d.action}" for d in differences if d.action != "kept")
        if counts:
            await office.put_on_record("identity.imported", {"source": feed.source, "rows": dict(counts)})

    return await import_identity(office.store, feed, office.now(), told, how)


async def import_identity(
    store: Store,
    feed: Feed,
    now: datetime,
    told: Callable[[list[Difference]], Awaitable[None]] | None = None,
    how: How = AS_IT_IS,
) -> list[Difference]:
    """Bring the store to what `feed` says and return the differences, row by row; `told` hears them before the commit.

    People and others that the feed does not mention stay as they are, unless it prunes; what it mentions has, of this
    source, exactly what it lists. Raises `Fault` when the feed contradicts itself or the store, `MovedOn` (nothing is
    changed by either), and `StoreUnavailable`.
    """
    if how.prune not in {None, feed.source}:
        raise Fault(f"The feed is of {feed.source}: it cannot prune {how.prune}. Nothing was changed.")
    rows = wanted_rows(feed)
    _must_say_once(rows)
    async with changing(store) as connection:  # what we write depends on what we read
        if how.expected is not None and how.expected != await latest(connection, "identity"):
            raise MovedOn("The store has changed since: look again. Nothing was changed.")
        _must_know(await unknown_names(connection, rows))
        pruned = await names_of(connection, feed.source) if how.prune else {}
        names = {kind: ids | pruned.get(kind, set()) for kind, ids in _names(rows).items()}
        differences = await apply_rows(connection, rows, names, feed.source)
        _must_know(await unknown_names(connection, rows))  # nothing pruned is still referred to
        _must_not_circle(await nested_groups(connection))
        if how.dry_run:
            await connection.rollback()
            return differences
        touched = [entry for difference in differences for entry in difference.touched]
        await append(connection, "identity", touched, now)
        if told:
            await told(differences)
    return differences


def _names(rows: Rows) -> dict[str, set[str]]:
    """Return whom the feed speaks about."""
    owners = {"principals": "principal", "groups": "group", "roles": "role"}
    owners |= {"delegations": "delegation", "servers": "server", "signals": "signal"}
    return {kind: {row["id"] for row in rows[table]} for table, kind in owners.items()}


def _must_say_once(rows: Rows) -> None:
    for name, shape in SHAPES.items():
        counted = Counter(tuple(row[column] for column in shape.key) for row in rows[name])
        twice = [" ".join(key) for key, count in counted.items() if count > 1]
        if twice:
            raise Fault(f"The feed says these {name} twice: {_list(twice)}. Keep one of each; nothing was changed.")


def _must_know(unknown: Mapping[str, set[str]]) -> None:
    for kind, names in unknown.items():
        if names:
            raise Fault(f"The feed names {kind} that nobody has registered: {_list(names)}. Nothing was changed.")


def _must_not_circle(edges: list[tuple[str, str]]) -> None:
    """Raise `Fault` when a group is, through others, in itself: nobody could say who is in it, and why."""
    above: dict[str, set[str]] = {}
    for member, group in edges:
        above.setdefault(member, set()).add(group)
    groups = set(above)
    while groups:  # take away groups that are in none of those left; a circle is what remains
        free = {group for group in groups if not above[group] & groups}
        if not free:
            raise Fault(f"These groups are in each other in a circle: {_list(groups)}. Nothing was changed.")
        groups -= free


def _list(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more
