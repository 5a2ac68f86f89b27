"""The cache of people: follows the store, costs nothing when warm, and says no when it can no longer know."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.errors import Refused
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.identity.people import People
from pdp.identity.shelf import Shelf
from pdp.store import tables
from pdp.store.changes import append
from pdp.store.follow import STALE_AFTER_S, Following
from pdp.store.sql import Store, open_store, transaction
from tests.conftest import START, FakeClock
from tests.migrated import url_at

pytestmark = pytest.mark.promise("people.follow")
IDP = "https://idp.example"
MAIL = {"permission": "call", "tool": "mail/*"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pdp.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    store = await open_store(url_at(file))
    await bring(store)
    yield store
    await store.dispose()


@pytest.fixture
async def people(store: Store, clock: FakeClock) -> People:
    """Return a cache that follows only when a test says so."""
    people = People(store, clock)
    await people.poll()
    return people


async def bring(store: Store, **changes: Any) -> None:
    """Import alice, who may mail by the role `mailer` of the group `staff`."""
    feed = {
        "source": "test",
        "people": [{"id": "alice", "aliases": [{"issuer": IDP, "subject": "00u1"}], "groups": ["staff"]}],
        "groups": [{"id": "staff", "roles": ["mailer"]}],
        "roles": [{"id": "mailer", "entitlements": [MAIL]}],
        "servers": [{"id": "mail", "audiences": {IDP: ["mail"]}}],
        **changes,
    }
    await import_identity(store, read_feed(msgspec.json.encode(feed)), START)


def lose(file: Path) -> None:
    """Take the store away from under those who use it."""
    file.unlink()


async def rights(people: People) -> list[str]:
    """Return the tools alice may call, by the cache."""
    alice = await people.named(IDP, "00u1")
    return [] if alice is None else [f"{r.grant.server_pattern}/{r.grant.tool_pattern}" for r in alice.rights]


def code(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.code


async def test_a_warm_cache_answers_without_the_store(people: People, file: Path) -> None:
    assert await rights(people) == ["mail/*"]
    lose(file)
    assert await rights(people) == ["mail/*"]


@pytest.mark.parametrize(
    "change",
    [
        {"people": [{"id": "alice", "aliases": [{"issuer": IDP, "subject": "00u1"}]}]},
        {"people": [{"id": "alice"}]},
        {"groups": [{"id": "staff"}]},
        {"roles": [{"id": "mailer"}]},
    ],
    ids=["membership", "alias", "role of a group", "right of a role"],
)
async def test_what_is_taken_away_anywhere_on_the_way_is_gone_after_the_next_poll(
    change: dict[str, Any], people: People, store: Store
) -> None:
    assert await rights(people) == ["mail/*"]
    await bring(store, **change)
    await people.poll()
    assert await rights(people) == []


async def test_a_nested_group_joined_later_reaches_its_members(people: People, store: Store) -> None:
    await rights(people)
    right = {"permission": "call", "tool": "crm/read"}
    groups = [{"id": "staff", "roles": ["mailer"], "members_of": ["all"]}, {"id": "all", "entitlements": [right]}]
    await bring(store, groups=groups)
    await people.poll()
    assert sorted(await rights(people)) == ["crm/read", "mail/*"]


async def test_someone_unknown_is_known_after_the_next_poll(people: People, store: Store) -> None:
    assert await people.named(IDP, "00u2") is None
    assert await people.get("bob") is None
    await bring(store, people=[{"id": "bob", "aliases": [{"issuer": IDP, "subject": "00u2"}]}])
    await people.poll()
    bob = await people.named(IDP, "00u2")
    assert bob is not None
    assert bob.registered.id == "bob"


async def test_a_server_that_no_longer_accepts_an_audience_is_known_to_after_the_next_poll(
    people: People, store: Store
) -> None:
    assert (await people.server("mail")).audiences == {IDP: ["mail"]}
    await bring(store, servers=[{"id": "mail", "audiences": {}}])
    await people.poll()
    assert (await people.server("mail")).audiences == {}


async def test_a_revoked_session_is_known_after_the_next_poll(people: People, store: Store) -> None:
    assert not (await people.session(IDP, "s 1")).revoked
    async with transaction(store) as connection:
        row = {"issuer": IDP, "id": "s 1", "revoked_at": "2026-01-05T09:59:00Z", "source": "test"}
        await connection.execute(tables.sessions.insert(), row)
        await append(connection, "identity", [("session", f"{IDP} s 1")], START)
    await people.poll()
    assert (await people.session(IDP, "s 1")).revoked


async def test_a_kind_of_change_nobody_knows_forgets_everything(people: People, store: Store) -> None:
    await rights(people)
    async with transaction(store) as connection:
        await connection.execute(tables.entitlements.delete())
        await append(connection, "identity", [("constellation", "x")], START)
    await people.poll()
    assert await rights(people) == []


async def test_more_changes_than_are_read_at_once_forget_everything(people: People, store: Store) -> None:
    await rights(people)
    async with transaction(store) as connection:
        await connection.execute(tables.entitlements.delete())
        for batch in range(3):
            touched = [("principal", f"p{batch}-{i}") for i in range(500)]
            await append(connection, "identity", touched, START)
    await people.poll()
    assert await rights(people) == []


async def test_the_revision_is_the_last_change_that_was_followed(people: People, store: Store) -> None:
    before = people.revision
    assert before > 0
    await bring(store, roles=[{"id": "mailer"}])
    assert people.revision == before
    await people.poll()
    assert people.revision == before + 1


async def test_a_change_is_followed_in_the_background(store: Store, clock: FakeClock) -> None:
    people = People(store, clock)
    following = Following(store, clock, people.follower)
    await following.start()
    try:
        assert await rights(people) == ["mail/*"]
        await bring(store, roles=[{"id": "mailer"}])
        async with asyncio.timeout(5):
            while await rights(people):  # noqa: ASYNC110  # the store announces nothing
                await asyncio.sleep(0.01)
    finally:
        await following.close()


@pytest.mark.promise("people.stale")
async def test_facts_older_than_the_published_bound_are_refused(people: People, clock: FakeClock) -> None:
    await rights(people)
    clock.advance(STALE_AFTER_S)
    assert await rights(people) == ["mail/*"]
    clock.advance(0.1)
    for question in (rights(people), people.get("alice"), people.session(IDP, "s"), people.server("mail")):
        with pytest.raises(Refused) as refused:
            await question
        assert code(refused) == "facts.stale"
    await people.poll()
    assert await rights(people) == ["mail/*"]


@pytest.mark.promise("people.stale")
@pytest.mark.fault("clock.back")
async def test_a_clock_set_back_does_not_make_old_facts_young(people: People, clock: FakeClock) -> None:
    clock.advance(-3600)
    with pytest.raises(Refused) as refused:
        await rights(people)
    assert code(refused) == "facts.stale"


@pytest.mark.promise("people.stale")
async def test_before_the_first_poll_nothing_is_answered(store: Store, clock: FakeClock) -> None:
    with pytest.raises(Refused) as refused:
        await rights(People(store, clock))
    assert code(refused) == "facts.stale"


@pytest.mark.promise("people.stale")
@pytest.mark.parametrize(
    "take", [Path.unlink, lambda file: file.rename(file.with_suffix(".old"))], ids=["gone", "moved"]
)
@pytest.mark.fault("store.gone")
async def test_when_the_store_goes_away_calls_are_denied_within_the_bound_and_allowed_again_when_it_is_back(
    take: Any, store: Store, file: Path, tmp_path: Path, clock: FakeClock
) -> None:
    people = People(store, clock)
    following = Following(store, clock, people.follower)
    await following.start()
    backup = shutil.copy(file, tmp_path / "backup.db")
    try:
        assert await rights(people) == ["mail/*"]
        take(file)
        with pytest.raises(Refused) as refused:
            await people.get("stranger")
        assert code(refused) == "facts.unavailable"
        clock.advance(STALE_AFTER_S + 1)
        with pytest.raises(Refused) as refused:
            await rights(people)
        assert code(refused) == "facts.stale"
        shutil.copy(backup, file)
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await rights(people) == ["mail/*"]
                    break
                except Refused:
                    await asyncio.sleep(0.01)
    finally:
        await following.close()


@pytest.mark.promise("people.stale")
async def test_a_restored_backup_is_read_afresh(people: People, store: Store, file: Path, tmp_path: Path) -> None:
    async with transaction(store) as connection:
        await connection.exec_driver_sql("SELECT 1")
    await store.dispose()  # folds the write-ahead log into the file
    backup = shutil.copy(file, tmp_path / "backup.db")
    await bring(store, roles=[{"id": "mailer", "entitlements": [MAIL, {**MAIL, "tool": "crm/*"}]}])
    await people.poll()
    assert len(await rights(people)) == 2
    await store.dispose()
    shutil.move(backup, file)
    await people.poll()
    assert await rights(people) == ["mail/*"]


@pytest.mark.promise("people.stale")
@pytest.mark.parametrize(
    ("table", "values"),
    [
        (tables.entitlements, {"constraints": {"pointer": "/a"}}),
        (tables.entitlements, {"constraints": [{"pointer": "/a", "op": "lt", "value": 1}]}),
        (tables.entitlements, {"constraints": [{"op": "le", "value": 1}]}),
        (tables.entitlements, {"tool_pattern": "*x"}),
        (tables.entitlements, {"expires_at": "tomorrow"}),
        (tables.memberships, {"expires_at": "2026-1-1"}),
        (tables.principals, {"status": "hidden"}),
        (tables.principals, {"kind": "robot"}),
    ],
)
async def test_rows_that_cannot_be_read_give_no_rights_and_no_guess(
    table: Any, values: dict[str, Any], people: People, store: Store
) -> None:
    async with transaction(store) as connection:
        await connection.execute(table.update().values(values))
    with pytest.raises(Refused) as refused:
        await rights(people)
    assert code(refused) == "facts.unavailable"


def test_a_use_is_remembered_for_exactly_this_person_agent_and_tool(store: Store, clock: FakeClock) -> None:
    people = People(store, clock)
    people.remember_use("alice", None, "mail", "send")
    assert people.used_before("alice", None, "mail", "send")
    for other in (("alice", "bot", "mail", "send"), ("bob", None, "mail", "send"), ("alice", None, "mail", "read")):
        assert not people.used_before(*other)


class Slow:
    """A source that answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = "old"
        self.go = asyncio.Event()

    async def __call__(self, _key: str) -> str:
        self.asked += 1
        answer = self.answer
        await self.go.wait()
        return answer

    async def was_asked(self, times: int) -> None:
        """Wait until it was asked so often."""
        async with asyncio.timeout(5):
            while self.asked < times:  # noqa: ASYNC110  # bounded, and over in a moment
                await asyncio.sleep(0)


@pytest.mark.promise("people.shelf")
async def test_many_who_ask_at_once_cost_one_load() -> None:
    slow = Slow()
    shelf = Shelf[str, str](10, slow)
    asked = [asyncio.create_task(shelf.get("a")) for _ in range(50)]
    await slow.was_asked(1)
    slow.go.set()
    assert await asyncio.gather(*asked) == ["old"] * 50
    assert await shelf.get("a") == "old"
    assert slow.asked == 1


@pytest.mark.promise("people.shelf")
async def test_what_was_loaded_before_a_change_is_not_kept_after_it() -> None:
    slow = Slow()
    shelf = Shelf[str, str](10, slow)
    before = asyncio.create_task(shelf.get("a"))
    await slow.was_asked(1)
    slow.answer = "new"
    shelf.drop(["a"])
    after = asyncio.create_task(shelf.get("a"))  # asked after the change: must not share the load from before it
    await slow.was_asked(2)
    slow.go.set()
    assert (await before, await after) == ("old", "new")
    assert await shelf.get("a") == "new"


@pytest.mark.promise("people.shelf")
async def test_a_load_that_a_change_overtook_is_answered_and_forgotten() -> None:
    slow = Slow()
    shelf = Shelf[str, str](10, slow)
    before = asyncio.create_task(shelf.get("a"))
    await slow.was_asked(1)
    slow.answer = "new"
    shelf.drop(["something else"])
    slow.go.set()
    assert await before == "old"
    assert await shelf.get("a") == "new"


@pytest.mark.promise("people.shelf")
async def test_who_gives_up_waiting_does_not_stop_the_load_for_others() -> None:
    slow = Slow()
    shelf = Shelf[str, str](10, slow)
    first, second = (asyncio.create_task(shelf.get("a")) for _ in range(2))
    await slow.was_asked(1)
    first.cancel()
    slow.go.set()
    assert await second == "old"


@pytest.mark.promise("people.shelf")
async def test_a_failed_load_is_told_to_all_and_tried_again() -> None:
    fail = True

    async def load(key: str) -> str:
        if fail:
            raise LookupError(key)
        return "found"

    shelf = Shelf[str, str](10, load)
    failures = await asyncio.gather(shelf.get("a"), shelf.get("a"), return_exceptions=True)
    assert [type(failure) for failure in failures] == [LookupError, LookupError]
    fail = False
    assert await shelf.get("a") == "found"


@pytest.mark.promise("people.shelf")
async def test_the_least_recently_used_makes_room() -> None:
    loaded = []

    async def load(key: str) -> str:
        loaded.append(key)
        return key

    shelf = Shelf[str, str](2, load)
    for key in ("a", "b", "a", "c", "a", "b"):
        await shelf.get(key)
    assert loaded == ["a", "b", "c", "b"]
