"""The store is looked at as it is: with what it holds and by its own clock, and nothing is made in it."""

import pytest

from pdp.store.condition import condition_of
from pdp.store.sql import open_store

pytestmark = pytest.mark.promise("cli.doctor")


async def test_a_store_of_this_release_is_known_and_its_clock_is_ours(url: str) -> None:
    await (await open_store(url)).dispose()
    seen = await condition_of(url)
    assert (seen.schema, seen.known, seen.content is not None) == (seen.ours, True, True)
    assert (seen.ahead_s is None) == url.startswith("sqlite"), "a database elsewhere has a clock of its own"
    assert abs(seen.ahead_s or 0.0) < 5.0, "both are this machine's"
