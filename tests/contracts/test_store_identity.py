"""The identity store on each database: imports all or nothing, feeds that never fight, one order of changes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from pdp.errors import Fault
from pdp.identity.feed import read_feed
from pdp.identity.importer import How, MovedOn, import_identity
from pdp.identity.rights import Principal
from pdp.store import tables
from pdp.store.changes import MANY, append, latest, since
from pdp.store.feeds import Difference
from pdp.store.identity import find_alias, find_principal, find_server, find_session
from pdp.store.sql import Store, open_store, reading, transaction
from tests.conftest import START

pytestmark = pytest.mark.promise("store.imports")
IDP = "https://idp.example"
FEED: dict[str, Any] = {
    "source": "corp-directory",
    "people": [
        {"id": "alice", "display": "Alice", "aliases": [{"issuer": IDP, "subject": "00u1"}], "groups": ["support"]},
        {"id": "bob", "entitlements": [{"permission": "call", "tool": "mail/*"}]},
    ],
    "agents": [
        {
            "id": "helpdesk-bot",
            "aliases": [{"issuer": IDP, "subject": "client-7"}],
            "owners": ["alice"],
            "max_impact": "write",
            "ceiling": ["payments/*"],
        }
    ],
    "groups": [{"id": "support", "members_of": ["staff"], "roles": ["refunder"]}, {"id": "staff"}],
    "roles": [
        {
            "id": "refunder",
            "entitlements": [
                {
                    "permission": "call",
                    "tool": "payments/create_refund",
                    "constraints": [{"pointer": "/amount", "op": "le", "value": 10000}],
                }
            ],
        }
    ],
    "delegations": [
        {
            "person": "alice",
            "agent": "helpdesk-bot",
            "scope": ["payments/*"],
            "max_impact": "write",
            "expires_at": "2027-01-01T00:00:00Z",
        }
    ],
    "servers": [{"id": "payments", "audiences": {IDP: ["https://mcp.example/payments"]}, "required_scopes": ["tools"]}],
}


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await open_store(url)
    yield store
    await store.dispose()


async def bring(store: Store, feed: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    """Import a feed; returns what changed, one `<action> <table> <key>` a row."""
    document = msgspec.json.encode({**(FEED if feed is None else feed), **changes})
    found: list[Difference] = await import_identity(store, read_feed(document), START)
    return [f"{d.action} {d.table} {d.key}" for d in found]


async def principal(store: Store, identifier: str) -> Principal:
    found = await find_principal(store, identifier)
    assert found is not None
    return found


async def dump(store: Store) -> dict[str, list[Any]]:
    """Return every row of every table."""
    async with reading(store) as connection:
        return {
            table.name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]
            for table in tables.metadata.sorted_tables
        }


async def test_what_was_imported_is_found_with_every_right_and_its_way(store: Store) -> None:
    await bring(store)
    alice = await principal(store, "alice")
    assert [(held.id, held.through) for held in alice.groups] == [("staff", "group:support"), ("support", "")]
    assert [(held.id, held.through) for held in alice.roles] == [("refunder", "group:support")]
    right = alice.rights[0]
    assert (right.via, right.grant.server_pattern, right.grant.tool_pattern) == (
        "role:refunder",
        "payments",
        "create_refund",
    )
    assert msgspec.to_builtins(right.grant.constraints) == [{"pointer": "/amount", "op": "le", "value": 10000}]
    assert alice.delegations[0].agent == "helpdesk-bot"
    bot = await principal(store, "helpdesk-bot")
    assert (bot.registered.owners, bot.registered.max_impact, bot.registered.ceiling) == (
        ["alice"],
        "write",
        ["payments/*"],
    )
    assert await find_alias(store, IDP, "client-7") == "helpdesk-bot"
    assert (await find_server(store, "payments")).audiences == {IDP: ["https://mcp.example/payments"]}


async def test_what_was_never_imported_is_not_found(store: Store) -> None:
    await bring(store)
    assert await find_principal(store, "carol") is None
    assert await find_alias(store, IDP, "00U1") is None
    assert await find_alias(store, "https://other.example", "00u1") is None
    assert (await find_server(store, "mail")).audiences == {}
    assert not (await find_session(store, IDP, "s-1")).revoked


async def test_the_same_import_again_changes_nothing(store: Store) -> None:
    first = await bring(store)
    assert len(first) == 16
    assert all(line.startswith("added ") for line in first)
    before = await dump(store)
    assert await bring(store) == []
    assert await dump(store) == before


async def test_what_a_person_no_longer_has_is_taken_away(store: Store) -> None:
    await bring(store)
    people = [{"id": "alice", "display": "Alice B.", "aliases": [{"issuer": IDP, "subject": "00u1"}]}]
    assert await bring(store, people=people, agents=[], delegations=[]) == [
        "changed principals alice",
        "removed memberships principal alice support",
    ]
    alice = await principal(store, "alice")
    assert (alice.rights, alice.roles, alice.groups) == ((), (), ())
    assert (await principal(store, "bob")).rights  # not mentioned, not touched


async def test_a_changed_constraint_replaces_the_right_it_narrows(store: Store) -> None:
    await bring(store)
    roles = msgspec.json.decode(msgspec.json.encode(FEED["roles"]))
    roles[0]["entitlements"][0]["constraints"][0]["value"] = 50
    actions = [line.split()[:2] for line in await bring(store, roles=roles)]
    assert actions == [["added", "entitlements"], ["removed", "entitlements"]]
    values = [r.grant.constraints[0].value for r in (await principal(store, "alice")).rights]
    assert values == [50]


async def test_a_subagent_belongs_to_the_agent_that_lists_it_and_the_change_log_says_so(store: Store) -> None:
    child = {"id": "mailer", "owners": [], "max_impact": "read", "ceiling": []}
    link = {"agent": "mailer", "scope": ["mail/*"], "expires_at": "2027-01-01T00:00:00Z"}
    parent = {**FEED["agents"][0], "subagents": [link]}
    await bring(store, agents=[parent, child])
    links = (await principal(store, "helpdesk-bot")).subagents
    assert [(found.child, found.scope, found.expires_at) for found in links] == [
        ("mailer", ["mail/*"], "2027-01-01T00:00:00Z")
    ]
    assert (await principal(store, "mailer")).subagents == ()
    async with reading(store) as connection:
        before = await latest(connection, "identity")
    assert await bring(store, agents=[FEED["agents"][0], child]) == ["removed agent_links helpdesk-bot mailer"]
    async with reading(store) as connection:
        changed = [(change.kind, change.key) for change in await since(connection, "identity", before)]
    assert changed == [("principal", "helpdesk-bot")]
    assert (await principal(store, "helpdesk-bot")).subagents == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"people": [{"id": "alice", "groups": ["nobody-knows"]}]}, "groups that nobody has registered: nobody-knows"),
        ({"people": [{"id": "alice", "roles": ["nobody-knows"]}]}, "roles that nobody has registered"),
        ({"delegations": [{**FEED["delegations"][0], "person": "carol"}]}, "people that nobody has registered: carol"),
        ({"delegations": [{**FEED["delegations"][0], "agent": "bob"}]}, "agents that nobody has registered: bob"),
        ({"agents": [{**FEED["agents"][0], "owners": ["carol"]}]}, "people that nobody has registered"),
        ({"agents": [{**FEED["agents"][0], "subagents": [{"agent": "bob", "scope": []}]}]}, "agents that nobody has"),
        ({"groups": [{"id": "staff", "members_of": ["support"]}, FEED["groups"][0]]}, "circle: staff, support"),
        ({"groups": [{"id": "staff", "members_of": ["staff"]}, FEED["groups"][0]]}, "circle: staff"),
        ({"people": [*FEED["people"], {"id": "bob"}]}, "twice: bob"),
        ({"people": [{"id": "helpdesk-bot"}], "agents": []}, "one id cannot be both"),
        ({"people": [*FEED["people"], {"id": "helpdesk-bot"}]}, "twice: helpdesk-bot"),
        ({"delegations": [FEED["delegations"][0]] * 2}, "twice"),
    ],
)
async def test_a_feed_that_contradicts_itself_or_the_store_changes_nothing(
    changes: dict[str, Any], says: str, store: Store
) -> None:
    await bring(store)
    before = await dump(store)
    with pytest.raises(Fault, match=says):
        await bring(store, **changes)
    assert await dump(store) == before


@pytest.mark.promise("store.sources")
async def test_feeds_do_not_overwrite_each_other(store: Store) -> None:
    await bring(store)
    other = {
        "source": "hr",
        "people": [{"id": "alice", "display": "A. Other", "status": "disabled", "groups": ["staff", "support"]}],
        "groups": [{"id": "staff", "display": "All staff"}],
    }
    assert await bring(store, other) == [
        "kept principals alice",
        "kept groups staff",
        "added memberships principal alice staff",
    ]
    assert (await principal(store, "alice")).registered.display == "Alice"
    assert await bring(store) == []
    await bring(store, {**other, "people": [{"id": "alice"}]})  # hr takes back what hr gave, and no more
    assert [held.id for held in (await principal(store, "alice")).groups] == ["staff", "support"]
    assert (await principal(store, "alice")).groups[0].through == "group:support"


@pytest.mark.promise("store.sources")
async def test_one_feed_cannot_take_over_anothers_alias_or_turn_a_person_into_an_agent(store: Store) -> None:
    await bring(store)
    thief = {"id": "mallory", "aliases": [{"issuer": IDP, "subject": "00u1"}]}
    with pytest.raises(Fault, match="is alice according to corp-directory"):
        await bring(store, {"source": "hr", "people": [thief]})
    assert await find_principal(store, "mallory") is None
    robot = {"id": "bob", "owners": [], "max_impact": "privileged", "ceiling": ["*/*"]}
    with pytest.raises(Fault, match="one id cannot be both"):
        await bring(store, {"source": "hr", "agents": [robot]})
    assert await find_alias(store, IDP, "00u1") == "alice"


async def test_a_feed_moves_its_own_alias_to_someone_else(store: Store) -> None:
    await bring(store)
    people = [{"id": "bob", "aliases": [{"issuer": IDP, "subject": "00u1"}]}]
    assert "changed aliases https://idp.example 00u1" in await bring(store, people=people, agents=[], delegations=[])
    assert await find_alias(store, IDP, "00u1") == "bob"


async def test_a_delegation_that_was_revoked_stays_revoked_when_the_feed_comes_again(store: Store) -> None:
    await bring(store)
    async with transaction(store) as connection:
        await connection.execute(tables.delegations.update().values(revoked_at="2026-01-05T09:00:00Z"))
    later = [{**FEED["delegations"][0], "expires_at": "2028-01-01T00:00:00Z"}]
    assert len(await bring(store, delegations=later)) == 1
    assert (await principal(store, "alice")).delegations[0].revoked_at == "2026-01-05T09:00:00Z"


async def test_times_of_any_offset_are_kept_in_the_one_form(store: Store) -> None:
    soon = {"id": "support", "expires_at": "2026-02-01T01:00:00.25+02:00"}
    await bring(store, people=[{"id": "alice", "groups": [soon]}])
    assert {held.id: held.expires_at for held in (await principal(store, "alice")).groups} == {
        "support": "2026-01-31T23:00:00Z",
        "staff": "2026-01-31T23:00:00Z",
    }


@pytest.mark.promise("store.changes")
async def test_the_change_log_names_whose_rights_changed_and_nobody_else(store: Store) -> None:
    await bring(store)
    async with reading(store) as connection:
        first = {(c.kind, c.key) for c in await since(connection, "identity", 0)}
        seen = await latest(connection, "identity")
    assert first == {
        *(("principal", name) for name in ("alice", "bob", "helpdesk-bot")),
        *(("alias", f"{IDP} {name}") for name in ("00u1", "client-7")),
        *(("group", name) for name in ("support", "staff")),
        ("role", "refunder"),
        ("server", "payments"),
    }
    await bring(store, people=[{"id": "bob"}], agents=[], delegations=[])
    async with reading(store) as connection:
        assert [(c.kind, c.key) for c in await since(connection, "identity", seen)] == [("principal", "bob")]
        assert await latest(connection, "registry") == 0


@pytest.mark.promise("store.changes")
async def test_a_long_list_of_changes_is_written_as_one(store: Store) -> None:
    async with transaction(store) as connection:
        await append(connection, "identity", [("principal", f"p{i}") for i in range(MANY + 1)], START)
        assert [(c.kind, c.key) for c in await since(connection, "identity", 0)] == [("all", "*")]


@pytest.mark.promise("store.changes")
async def test_a_change_is_numbered_when_it_is_certain_so_that_no_reader_skips_it(url: str, store: Store) -> None:
    """Two writers overlap; the one that began first commits last. A reader in between must not miss its change."""
    other = await open_store(url)
    holding, release = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with transaction(store) as connection:
            await append(connection, "identity", [("principal", "slow")], START)
            holding.set()
            await release.wait()

    async def fast() -> None:
        async with transaction(other) as connection:
            await append(connection, "identity", [("principal", "fast")], START)

    first = asyncio.create_task(slow())
    await holding.wait()
    second = asyncio.create_task(fast())
    await asyncio.wait([second], timeout=0.2)  # enough to commit, were it not for the lock
    seen: list[str] = []
    revision = 0
    for step in (release.set, lambda: None):
        async with reading(store) as connection:
            for change in await since(connection, "identity", revision):
                seen.append(change.key)
                revision = change.seq
        step()
        await asyncio.wait([first, second], timeout=10)
    async with reading(store) as connection:
        seen += [change.key for change in await since(connection, "identity", revision)]
    assert sorted(seen) == ["fast", "slow"]
    await asyncio.gather(first, second)
    await other.dispose()


@pytest.mark.promise("store.changes")
async def test_imports_at_the_same_time_all_arrive(url: str) -> None:
    stores = [await open_store(url) for _ in range(4)]
    await asyncio.gather(
        *(bring(s, {"source": f"feed-{i}", "people": [{"id": f"p{i}"}]}) for i, s in enumerate(stores * 4))
    )
    for i in range(16):
        assert await find_principal(stores[0], f"p{i}") is not None
    async with reading(stores[0]) as connection:
        assert len(await since(connection, "identity", 0)) == 16
    await asyncio.gather(*(s.dispose() for s in stores))


async def test_a_dry_run_tells_what_would_change_and_changes_nothing(store: Store) -> None:
    before = await dump(store)
    found = await import_identity(store, read_feed(msgspec.json.encode(FEED)), START, how=How(dry_run=True))
    assert len(found) == 16
    assert await dump(store) == before


@pytest.mark.promise("store.sources")
async def test_pruning_removes_what_the_feed_no_longer_mentions_and_nothing_of_another_source(store: Store) -> None:
    await bring(store)
    await bring(store, {"source": "hr", "people": [{"id": "erin"}]})
    small = read_feed(msgspec.json.encode({"source": "corp-directory", "people": [{"id": "bob"}]}))
    found = await import_identity(store, small, START, how=How(prune="corp-directory"))
    assert {one.action for one in found} == {"removed"}
    assert await find_principal(store, "alice") is None
    assert await find_alias(store, IDP, "client-7") is None
    assert (await principal(store, "bob")).rights == ()
    assert (await principal(store, "erin")).registered.kind == "person"


@pytest.mark.parametrize("what", ["delegation", "membership"])
async def test_nothing_goes_that_another_source_still_hangs_something_on(store: Store, what: str) -> None:
    bot = {"id": "x-bot", "owners": [], "max_impact": "read", "ceiling": []}
    mine = {"source": "x", "agents": [bot], "groups": [{"id": "x-g"}]}
    await import_identity(store, read_feed(msgspec.json.encode(mine)), START)
    person: dict[str, Any] = {"id": "y-person", "groups": ["x-g"] if what == "membership" else []}
    given = {"person": "y-person", "agent": "x-bot", "scope": [], "max_impact": "read"}
    given |= {"expires_at": "2099-01-01T00:00:00Z"}
    other = {"source": "y", "people": [person], "delegations": [given] if what == "delegation" else []}
    await import_identity(store, read_feed(msgspec.json.encode(other)), START)
    with pytest.raises(Fault, match="y still has"):
        await import_identity(store, read_feed(b'{"source": "x"}'), START, how=How(prune="x"))
    await import_identity(store, read_feed(b'{"source": "y"}'), START, how=How(prune="y"))
    gone = await import_identity(store, read_feed(b'{"source": "x"}'), START, how=How(prune="x"))
    assert {one.key for one in gone} >= {"x-bot", "x-g"}


async def test_a_feed_cannot_prune_another_source_or_what_it_still_refers_to(store: Store) -> None:
    await bring(store)
    before = await dump(store)
    feed = read_feed(msgspec.json.encode({"source": "corp-directory", "people": [{"id": "bob", "groups": ["staff"]}]}))
    for source, says in (("hr", "cannot prune hr"), ("corp-directory", "groups that nobody has registered: staff")):
        with pytest.raises(Fault, match=says):
            await import_identity(store, feed, START, how=How(prune=source))
        assert await dump(store) == before


async def test_an_import_at_a_revision_that_has_passed_changes_nothing(store: Store) -> None:
    await bring(store)
    async with reading(store) as connection:
        seen = await latest(connection, "identity")
    await bring(store, {"source": "hr", "people": [{"id": "erin"}]})
    with pytest.raises(MovedOn):
        await import_identity(store, read_feed(b'{"source": "hr"}'), START, how=How(expected=seen, prune="hr"))
    assert await find_principal(store, "erin") is not None
