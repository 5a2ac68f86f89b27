"""What the store remembers of signed policies: the newest, for every replica, over restarts, whoever comes first."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from pdp.policy.newest import admit
from pdp.policy.problem import PackRefused
from pdp.policy.sign import Signed
from pdp.store.policy import read_newest
from pdp.store.sql import Store, open_store, transaction

from .stores import postgres_url, url  # noqa: F401  # fixtures of the store suites

pytestmark = pytest.mark.promise("policy.newest")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:  # noqa: F811
    store = await open_store(url)
    yield store
    await store.dispose()


def at(minute: int, content: str = "sha256:a") -> Signed:
    """Return a signature of some minute."""
    return Signed(key_id="release", issued_at=f"2026-01-05T10:{minute:02}:00Z", content=content)


async def newest(store: Store) -> tuple[str, str] | None:
    """Return the revision and the time that are remembered."""
    async with transaction(store) as connection:
        row = await read_newest(connection)
    return (row["revision"], row["issued_at"][14:16]) if row else None


async def test_an_unsigned_policy_has_no_age(store: Store) -> None:
    await admit(store, "sha256:1", None)
    assert await newest(store) is None
    await admit(store, "sha256:2", at(5))
    await admit(store, "sha256:1", None)
    assert await newest(store) == ("sha256:2", "05")


async def test_only_what_is_newer_or_the_same_is_admitted(store: Store) -> None:
    await admit(store, "sha256:1", at(5))
    await admit(store, "sha256:1", at(5))
    with pytest.raises(PackRefused, match=r"was signed 2026-01-05T10:04:00Z by release, and a newer one \(sha256:1"):
        await admit(store, "sha256:0", at(4, "sha256:b"))
    with pytest.raises(PackRefused, match="a newer one"):
        await admit(store, "sha256:1", at(4))
    with pytest.raises(PackRefused, match="as was another one"):
        await admit(store, "sha256:2", at(5, "sha256:b"))
    assert await newest(store) == ("sha256:1", "05")
    await admit(store, "sha256:2", at(6, "sha256:b"))
    assert await newest(store) == ("sha256:2", "06")


async def test_what_was_refused_is_not_remembered_and_what_was_admitted_outlives_the_process(url: str) -> None:  # noqa: F811
    first = await open_store(url)
    await admit(first, "sha256:1", at(5))
    await first.dispose()
    second = await open_store(url)
    with pytest.raises(PackRefused, match="a newer one"):
        await admit(second, "sha256:0", at(4, "sha256:b"))
    assert await newest(second) == ("sha256:1", "05")
    await second.dispose()


async def test_of_replicas_that_come_together_with_two_policies_of_one_time_one_wins(url: str) -> None:  # noqa: F811
    stores = [await open_store(url) for _ in range(8)]
    tries = (admit(store, f"sha256:{n % 2}", at(5, f"sha256:{n % 2}")) for n, store in enumerate(stores))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 4
    assert all(isinstance(outcome, PackRefused) for outcome in refused)
    assert await newest(stores[0]) in {("sha256:0", "05"), ("sha256:1", "05")}
    await asyncio.gather(*(store.dispose() for store in stores))


async def test_of_replicas_that_come_together_the_newest_policy_stays(url: str) -> None:  # noqa: F811
    stores = [await open_store(url) for _ in range(8)]
    tries = (admit(store, f"sha256:{n}", at(n, f"sha256:{n}")) for n, store in enumerate(stores))
    await asyncio.gather(*tries, return_exceptions=True)
    assert await newest(stores[0]) == ("sha256:7", "07")
    await asyncio.gather(*(store.dispose() for store in stores))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_server_that_isolates_transactions_more_does_not_let_two_be_newest(url: str) -> None:  # noqa: F811
    """There a transaction that waited for the lock would still see what was there before it waited."""
    store = await open_store(url)
    await set_isolation(store, "repeatable read")
    replicas = [await open_store(url) for _ in range(8)]
    tries = (admit(replica, f"sha256:{n}", at(20 - n, f"sha256:{n}")) for n, replica in enumerate(replicas))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), PackRefused}
    assert await newest(store) == ("sha256:0", "20")
    await set_isolation(store, "read committed")
    await asyncio.gather(*(each.dispose() for each in (*replicas, store)))


async def set_isolation(store: Store, level: str) -> None:
    """Set what connections from now on begin with."""
    async with transaction(store) as connection:
        await connection.execute(text(f"ALTER DATABASE postgres SET default_transaction_isolation = '{level}'"))
