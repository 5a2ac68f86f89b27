"""One question for all who follow the store: who has nothing to read is young, and who cannot read holds up nobody."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pdp.errors import Fault
from pdp.store.changes import Topic, append
from pdp.store.follow import STALE_AFTER_S, Follower, Following
from pdp.store.sql import Store, open_store, transaction
from tests.conftest import FakeClock
from tests.migrated import url_at

pytestmark = pytest.mark.promise("people.follow")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(url_at(tmp_path / "pdp.db"))
    yield store
    await store.dispose()


class Reads:
    """Counts how often it was asked to read; does not read while `broken`."""

    def __init__(self) -> None:
        self.count = 0
        self.broken = False

    async def __call__(self) -> None:
        self.count += 1
        if self.broken:
            raise Fault("it cannot be read")


async def change(store: Store, topic: Topic, clock: FakeClock) -> None:
    """Say that something changed."""
    async with transaction(store) as connection:
        await append(connection, topic, [("principal", "alice")], clock())


async def test_what_did_not_change_is_not_read_again_and_never_stale(store: Store, clock: FakeClock) -> None:
    reads = Reads()
    follower = Follower("the test", ("identity",), reads, clock)
    following = Following(store, clock, follower)
    assert follower.stale(), "nothing was read yet"
    for _ in range(3):
        await following.look()
        assert follower.stale() is None
        clock.advance(STALE_AFTER_S + 1)
        assert follower.stale()
    assert reads.count == 1


async def test_an_answer_that_comes_late_makes_nothing_older(clock: FakeClock) -> None:
    waiting = [asyncio.Event(), asyncio.Event()]
    waiting[1].set()
    held = iter(waiting)

    async def read() -> None:
        await next(held).wait()

    follower = Follower("the test", ("identity",), read, clock)
    early = asyncio.create_task(follower.poll())
    await asyncio.sleep(0)  # it has asked
    clock.advance(STALE_AFTER_S + 1)
    await follower.poll()
    waiting[0].set()
    await early
    assert follower.stale() is None


@pytest.mark.promise("registry.follows")
async def test_each_reads_what_changed_in_its_own_topics_once(store: Store, clock: FakeClock) -> None:
    people, tools = Reads(), Reads()
    both = Follower("people", ("identity",), people, clock), Follower("tools", ("registry", "identity"), tools, clock)
    following = Following(store, clock, *both)
    await following.look()
    expected: list[tuple[Topic, tuple[int, int]]] = [("registry", (1, 2)), ("identity", (2, 3)), ("keys", (2, 3))]
    for topic, seen in expected:
        await change(store, topic, clock)
        for _ in range(2):
            await following.look()
        assert (people.count, tools.count) == seen


@pytest.mark.promise("people.stale")
async def test_who_cannot_read_becomes_stale_reads_again_and_holds_up_nobody(store: Store, clock: FakeClock) -> None:
    bad, good = Reads(), Reads()
    ill, well = (Follower("the test", ("identity",), reads, clock) for reads in (bad, good))
    following = Following(store, clock, ill, well)
    await following.look()
    await change(store, "identity", clock)
    bad.broken = True
    clock.advance(STALE_AFTER_S + 1)
    for _ in range(2):
        with pytest.raises(Fault):
            await following.look()
    assert ill.stale()
    assert well.stale() is None
    assert (bad.count, good.count) == (3, 2)
    bad.broken = False
    await following.look()
    assert ill.stale() is None
