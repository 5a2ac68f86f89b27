"""Bring the store to what a feed wants: read what is there, compare, write the difference.

A feed owns the rows of its source and no others. What it wants differently from another source's row stays as it is
and is reported as `kept`; an alias of another source is never pointed at somebody else, that is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from sqlalchemy import Table, bindparam, delete, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Fault
from . import tables

CHUNK = 400  # ids in one query: well under SQLite's 32,766 variables, even for pairs
Row = dict[str, Any]
Key = tuple[Any, ...]
Names = Mapping[str, set[str]]
"""Ids that a feed speaks about, by kind: `principal`, `group`, `role`, `delegation`, `server`, `signal`."""


class Shape(NamedTuple):
    """How the rows of a table belong to those a feed speaks about.

    `owner`: the column with the id of the one a row belongs to; `kind`: what that is, or the `..._kind` column that
    says so.
    `touched`: whose cached facts a row is part of, as an entry of the change log.
    """

    table: Table
    key: tuple[str, ...]
    owner: str
    kind: str
    touched: Callable[[Row], tuple[str, str]]


SHAPES = {  # parents before children
    str(shape.table.name): shape
    for shape in (
        Shape(tables.principals, ("id",), "id", "principal", lambda row: ("principal", row["id"])),
        Shape(tables.agents, ("id",), "id", "principal", lambda row: ("principal", row["id"])),
        Shape(
            tables.agent_links,
            ("parent", "child"),
            "parent",
            "principal",
            lambda row: ("principal", row["parent"]),  # links are read with the agent they begin at
        ),
        Shape(
            tables.aliases,
            ("issuer", "subject"),
            "principal",
            "principal",
            lambda row: ("alias", f"{row['issuer']} {row['subject']}"),
        ),
        Shape(tables.groups, ("id",), "id", "group", lambda row: ("group", row["id"])),
        Shape(tables.roles, ("id",), "id", "role", lambda row: ("role", row["id"])),
        Shape(
            tables.memberships,
            ("member_kind", "member", "group_id"),
            "member",
            "member_kind",
            lambda row: (row["member_kind"], row["member"]),
        ),
        Shape(
            tables.role_assignments,
            ("holder_kind", "holder", "role"),
            "holder",
            "holder_kind",
            lambda row: (row["holder_kind"], row["holder"]),
        ),
        Shape(tables.entitlements, ("id",), "holder", "holder_kind", lambda row: (row["holder_kind"], row["holder"])),
        Shape(tables.delegations, ("id",), "id", "delegation", lambda row: ("principal", row["person"])),
        Shape(tables.servers, ("id",), "id", "server", lambda row: ("server", row["id"])),
        Shape(
            tables.signals,
            ("id",),
            "id",
            "signal",
            lambda row: ("session" if row["entity_kind"] == "session" else "principal", row["entity"]),
        ),
    )
}


class Difference(Struct, frozen=True):
    """One row that a feed changed, or would have if it were its own (`kept`)."""

    action: Literal["added", "changed", "removed", "kept"]
    table: str
    key: str
    before: Row | None
    after: Row | None

    @property
    def touched(self) -> list[tuple[str, str]]:
        """Return the entries of the change log that this row calls for."""
        rows = [row for row in (self.before, self.after) if row is not None]
        return [] if self.action == "kept" else [SHAPES[self.table].touched(row) for row in rows]


async def apply_rows(
    connection: AsyncConnection, wanted: Mapping[str, list[Row]], names: Names, source: str
) -> list[Difference]:
    """Write what `wanted` differs in, within the caller's transaction; returns it. Raises `Fault` on a hijack."""
    differences: list[Difference] = []
    for name, shape in SHAPES.items():
        rows = {_key(shape, row): row for row in wanted[name]}
        known = await _known(connection, shape, names, rows)
        found = list(compare(shape, known, rows, source))
        await _write(connection, shape, [one for one in found if one.action != "removed"])
        differences += found
    await _must_own_what_hangs_on(connection, differences, source)
    for name, shape in reversed(SHAPES.items()):  # what is new may hang on what goes; children go first
        await _write(connection, shape, [one for one in differences if (one.table, one.action) == (name, "removed")])
    return differences


async def names_of(connection: AsyncConnection, source: str) -> dict[str, set[str]]:
    """Return by kind the ids that rows of this source speak about."""
    names: dict[str, set[str]] = {}
    for shape in SHAPES.values():
        columns = shape.table.c
        kind = columns[shape.kind] if shape.kind.endswith("_kind") else literal(shape.kind)
        query = select(kind, columns[shape.owner]).where(columns.source == source).distinct()
        for of, identifier in await connection.execute(query):
            names.setdefault(of, set()).add(identifier)
    return names


def compare(shape: Shape, known: Mapping[Key, Row], wanted: Mapping[Key, Row], source: str) -> Iterator[Difference]:
    """Yield how `wanted` differs from `known`. Raises `Fault` where another source's row must not be doubted."""
    for key, row in wanted.items():
        before = known.get(key)
        if before is None:
            yield _difference("added", shape, key, None, row)
        elif any(before[column] != value for column, value in row.items() if column != "source"):
            _must_not_hijack(shape, before, row, source)
            yield _difference("changed" if before["source"] == source else "kept", shape, key, before, row)
    for key, row in known.items():
        if key not in wanted and row["source"] == source:
            yield _difference("removed", shape, key, row, None)


async def unknown_names(connection: AsyncConnection, wanted: Mapping[str, list[Row]]) -> dict[str, set[str]]:
    """Return by kind the ids that rows refer to and neither they nor the store know."""

    async def unknown(table: Table, used: set[str], kind: str | None = None) -> set[str]:
        own = {row["id"] for row in wanted[table.name] if kind is None or row["kind"] == kind}
        return await _missing(connection, table, used - own, kind)

    people = {row["person"] for row in wanted["delegations"]}
    people |= {owner for row in wanted["agents"] for owner in row["owners"]}
    bots = {row["agent"] for row in wanted["delegations"]} | {row["child"] for row in wanted["agent_links"]}
    return {
        "people": await unknown(tables.principals, people, "person"),
        "agents": await unknown(tables.principals, bots, "agent"),
        "groups": await unknown(tables.groups, {row["group_id"] for row in wanted["memberships"]}),
        "roles": await unknown(tables.roles, {row["role"] for row in wanted["role_assignments"]}),
    }


async def nested_groups(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Return every (group, the group it is in)."""
    table = tables.memberships.c
    rows = await connection.execute(select(table.member, table.group_id).where(table.member_kind == "group"))
    return [(row.member, row.group_id) for row in rows]


async def _missing(connection: AsyncConnection, table: Table, ids: set[str], kind: str | None) -> set[str]:
    found: set[str] = set()
    for chunk in _chunks(sorted(ids)):
        query = select(table.c.id).where(table.c.id.in_(chunk))
        if kind is not None:
            query = query.where(table.c.kind == kind)
        found.update((await connection.execute(query)).scalars())
    return ids - found


async def _known(connection: AsyncConnection, shape: Shape, names: Names, wanted: Mapping[Key, Row]) -> dict[Key, Row]:
    """Return the rows of those the feed speaks about, and those under the keys it wants."""
    table, by_kind = shape.table, shape.kind.endswith("_kind")
    owners = set().union(*names.values()) if by_kind else names.get(shape.kind, set())
    queries = [select(table).where(table.c[shape.owner].in_(chunk)) for chunk in _chunks(sorted(owners))]
    if shape.key != (shape.owner,):
        columns = tuple_(*(table.c[column] for column in shape.key))
        queries += [select(table).where(columns.in_(chunk)) for chunk in _chunks(sorted(wanted))]
    known: dict[Key, Row] = {}
    for query in queries:
        for found in (await connection.execute(query)).mappings():
            row = {str(column): value for column, value in found.items()}
            if not by_kind or row[shape.owner] in names.get(row[shape.kind], ()):
                known[_key(shape, row)] = row
    return known


async def _write(connection: AsyncConnection, shape: Shape, differences: Iterable[Difference]) -> None:
    by_action: dict[str, list[Row]] = {"added": [], "changed": [], "removed": [], "kept": []}
    for difference in differences:
        by_action[difference.action].append(difference.after or difference.before or {})
    here = [shape.table.c[column] == bindparam(f"key_{column}") for column in shape.key]
    if by_action["added"]:
        await connection.execute(insert(shape.table), by_action["added"])
    if by_action["changed"]:
        values: Row = {column: bindparam(column) for column in by_action["changed"][0] if column not in shape.key}
        rows = [_with_key(shape, row) for row in by_action["changed"]]
        await connection.execute(update(shape.table).where(*here).values(values), rows)
    if by_action["removed"]:
        keys = [{f"key_{column}": row[column] for column in shape.key} for row in by_action["removed"]]
        await connection.execute(delete(shape.table).where(*here), keys)


HANGING: dict[str, list[tuple[Table, str]]] = {  # rows that the database removes with the one they hang on
    "principals": [
        (tables.aliases, "principal"),
        (tables.agents, "id"),
        (tables.delegations, "person"),
        (tables.delegations, "agent"),
        (tables.agent_links, "parent"),
        (tables.agent_links, "child"),
    ],
    "groups": [(tables.memberships, "group_id")],
    "roles": [(tables.role_assignments, "role")],
}


async def _must_own_what_hangs_on(connection: AsyncConnection, differences: list[Difference], source: str) -> None:
    """Raise `Fault` when what goes would take another source's rows with it, unseen by it and by every cache."""
    for name, hanging in HANGING.items():
        gone = sorted(one.key for one in differences if (one.table, one.action) == (name, "removed"))
        for table, column in hanging:
            for chunk in _chunks(gone):
                query = select(table.c[column], table.c.source).where(
                    table.c[column].in_(chunk), table.c.source != source
                )
                if row := (await connection.execute(query)).first():
                    raise Fault(
                        f"{row[0]} cannot go: {row.source} still has {table.name} that name it: remove those first. "
                        "Nothing was changed."
                    )


def _with_key(shape: Shape, row: Row) -> Row:
    return {f"key_{column}" if column in shape.key else column: value for column, value in row.items()}


def _must_not_hijack(shape: Shape, before: Row, row: Row, source: str) -> None:
    if shape.table is tables.principals and before["kind"] != row["kind"]:
        raise Fault(
            f"{row['id']} is registered as {before['kind']}, the feed says {row['kind']}: one id cannot be both."
        )
    if shape.table is tables.aliases and before["source"] != source:
        raise Fault(
            f"{row['subject']} of {row['issuer']} is {before['principal']} according to {before['source']}; this feed "
            f"says {row['principal']}: remove the alias there first."
        )


def _difference(action: Any, shape: Shape, key: Key, before: Row | None, after: Row | None) -> Difference:
    return Difference(
        action=action, table=str(shape.table.name), key=" ".join(map(str, key)), before=before, after=after
    )


def _key(shape: Shape, row: Row) -> Key:
    return tuple(row[column] for column in shape.key)


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
