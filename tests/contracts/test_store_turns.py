"""Who waits for the lock on what others keep in memory takes no turn from those who write something else."""

import asyncio

import pytest
from sqlalchemy import text

from pdp.store.sql import POOL_SIZE, Store, changing, open_store, transaction

pytestmark = pytest.mark.promise("store.turns")

SOON_S = 5.0  # connecting takes a moment on a busy machine; the lock is held all the time


async def change(store: Store) -> None:
    async with changing(store):
        pass


async def test_others_write_while_many_wait_for_an_import_to_end(postgres_url: str) -> None:
    store, importing = await open_store(postgres_url), await open_store(postgres_url)
    async with changing(importing):
        waiting = [asyncio.create_task(change(store)) for _ in range(2 * POOL_SIZE)]
        await asyncio.sleep(0)  # each has asked for its turn
        async with asyncio.timeout(SOON_S), transaction(store) as connection:
            await connection.execute(text("SELECT 1"))
        assert not any(one.done() for one in waiting)
    await asyncio.gather(*waiting)
    await asyncio.gather(store.dispose(), importing.dispose())
