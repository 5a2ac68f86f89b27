"""Kill switches on each database: who is stopped stays stopped, on record, whatever a feed says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.audit.log import Log
from pdp.audit.office import Office
from pdp.audit.read import Reader
from pdp.errors import Fault, Refused
from pdp.identity.feed import read_feed
from pdp.identity.importer import How, import_identity
from pdp.identity.people import People
from pdp.identity.revoke import NotRegistered, Target, reinstate, revoke
from pdp.store.identity import find_principal, find_session
from pdp.store.revocations import Kind, client_revoked
from pdp.store.sql import Store, open_store
from tests.conftest import START, FakeClock
from tests.flow.people import FEED

pytestmark = pytest.mark.promise("store.kills")
IDP = "https://idp.example"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = await open_store(url)
    await bring(store)
    yield store
    await store.dispose()


@pytest.fixture
async def office(store: Store, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Office]:
    log = Log(tmp_path / "log", clock)
    yield Office(store, log, clock)
    await log.close()


async def bring(store: Store, **changes: Any) -> None:
    await import_identity(store, read_feed(msgspec.json.encode({**FEED, **changes})), START)


async def status(store: Store, identifier: str) -> str:
    found = await find_principal(store, identifier)
    assert found is not None
    return found.registered.status


async def delegated(store: Store) -> str:
    """Return the id of what alice delegates to bot."""
    alice = await find_principal(store, "alice")
    assert alice is not None
    return next(one.id for one in alice.delegations if one.agent == "bot")


async def revoked_delegations(store: Store, person: str) -> list[str]:
    found = await find_principal(store, person)
    assert found is not None
    return [one.agent for one in found.delegations if one.revoked_at is not None]


@pytest.mark.parametrize(("kind", "identifier"), [("person", "alice"), ("agent", "bot")])
async def test_whoever_is_revoked_stays_so_when_the_feed_comes_again_and_is_active_once_reinstated(
    kind: Kind, identifier: str, office: Office
) -> None:
    await revoke(office, Target(kind, identifier), "ops", "stolen laptop")
    assert await status(office.store, identifier) == "revoked"
    await bring(office.store, source="hr")
    await bring(office.store)
    assert await status(office.store, identifier) == "revoked"
    await reinstate(office, Target(kind, identifier), "ops", "found it")
    assert await status(office.store, identifier) == "active"


async def test_reinstating_gives_back_no_more_than_the_feed_says(office: Office) -> None:
    await revoke(office, Target("person", "carol"), "ops", "test")
    await reinstate(office, Target("person", "carol"), "ops", "test")
    assert await status(office.store, "carol") == "suspended"


async def test_a_revoked_delegation_stays_so_when_the_feed_takes_it_away_and_brings_it_again(office: Office) -> None:
    await revoke(office, Target("delegation", await delegated(office.store)), "ops", "test")
    assert await revoked_delegations(office.store, "alice") == ["bot"]
    feed = read_feed(msgspec.json.encode({**FEED, "delegations": []}))
    gone = await import_identity(office.store, feed, office.now(), how=How(prune=FEED["source"]))
    assert "removed" in [one.action for one in gone if one.table == "delegations"]
    await bring(office.store)
    assert await revoked_delegations(office.store, "alice") == ["bot"]


@pytest.mark.parametrize(("kind", "identifier", "name"), [("agent", "bot", "client-7"), ("person", "alice", "00u1")])
async def test_nobody_comes_back_under_another_id(kind: Kind, identifier: str, name: str, office: Office) -> None:
    done = await revoke(office, Target(kind, identifier), "ops", "test")
    assert Target("client", name, IDP) in done.revoked
    assert await client_revoked(office.store, IDP, name)
    await reinstate(office, Target(kind, identifier), "ops", "test")
    assert not await client_revoked(office.store, IDP, name)
    await revoke(office, Target("client", name, IDP), "ops", "of its own")
    await revoke(office, Target(kind, identifier), "ops", "test")
    await reinstate(office, Target(kind, identifier), "ops", "test")
    assert await client_revoked(office.store, IDP, name), "what was revoked by itself is reinstated by itself"


async def test_everything_of_an_agent_is_its_delegations_too_and_they_need_reinstating_of_their_own(
    office: Office,
) -> None:
    done = await revoke(office, Target("agent", "bot"), "ops", "test", everything=True)
    assert [one.kind for one in done.revoked] == ["agent", "client", "delegation", "delegation"]
    await reinstate(office, Target("agent", "bot"), "ops", "test")
    assert await status(office.store, "bot") == "active"
    assert await revoked_delegations(office.store, "alice") == ["bot"]
    assert await revoked_delegations(office.store, "carol") == ["bot"]


async def test_a_session_is_revoked_at_its_own_issuer_only(office: Office) -> None:
    await revoke(office, Target("session", "s-1", IDP), "ops", "test")
    assert (await find_session(office.store, IDP, "s-1")).revoked
    assert not (await find_session(office.store, "https://other.example", "s-1")).revoked


async def test_a_client_that_was_cached_as_good_is_refused_after_the_next_poll(
    office: Office, clock: FakeClock
) -> None:
    people = People(office.store, clock)
    await people.poll()
    await people.clients_must_live(IDP, ["client-7"])
    await revoke(office, Target("client", "client-7", IDP), "ops", "test")
    await people.poll()
    with pytest.raises(Refused) as refused:
        await people.clients_must_live(IDP, ["client-7"])
    assert refused.value.code == "identity.client_revoked"
    await people.clients_must_live("https://other.example", ["client-7"])
    await reinstate(office, Target("client", "client-7", IDP), "ops", "test")
    await people.poll()
    await people.clients_must_live(IDP, ["client-7"])


async def test_each_revocation_is_on_record_once_with_who_and_why(office: Office, tmp_path: Path) -> None:
    for _ in range(2):
        await revoke(office, Target("client", "client-7", IDP), "ops", "leaked secret")
    await reinstate(office, Target("client", "client-7", IDP), "ops", "new secret")
    entries = [msgspec.json.decode(line) for line in Reader(tmp_path / "log").lines()]
    told = {"kind": "client", "id": "client-7", "issuer": IDP, "by": "ops"}
    assert [(entry["kind"], entry["body"]) for entry in entries] == [
        ("identity.revoked", {**told, "reason": "leaked secret"}),
        ("identity.changed", {**told, "reason": "new secret", "change": "reinstated"}),
    ]


async def test_what_cannot_be_recorded_is_not_revoked(office: Office) -> None:
    await office.log.close()
    with pytest.raises(Fault):
        await revoke(office, Target("person", "alice"), "ops", "test")
    assert await status(office.store, "alice") == "active"


@pytest.mark.parametrize("wrong", [Target("person", "nobody"), Target("agent", "alice"), Target("delegation", "dlg_0")])
async def test_what_is_not_registered_is_named_instead_of_silently_revoked(wrong: Target, office: Office) -> None:
    with pytest.raises(NotRegistered, match=wrong.id):
        await revoke(office, wrong, "ops", "test")


async def test_an_empty_id_revokes_nobody(office: Office) -> None:
    with pytest.raises(Fault, match="empty"):
        await revoke(office, Target("session", "", IDP), "ops", "test")


@pytest.mark.parametrize("wrong", [Target("client", "c"), Target("session", "s"), Target("person", "alice", IDP)])
async def test_clients_and_sessions_and_nothing_else_are_named_with_their_issuer(wrong: Target, office: Office) -> None:
    with pytest.raises(Fault, match="issuer"):
        await revoke(office, wrong, "ops", "test")
