"""A PostgreSQL that went silent, no connection closed: whoever asks is told in time, and nothing hangs for good."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from pdp.audit.heads import LAST_KEPT_WITHIN_S, Heads, log_key
from pdp.audit.log import Log
from pdp.store.changes import newest_changes
from pdp.store.sql import (
    CONNECTED_WITHIN_S,
    POOL_SIZE,
    STATEMENT_WITHIN_S,
    Store,
    StoreUnavailable,
    open_store,
    reading,
)
from tests.conftest import FakeClock

pytestmark = [pytest.mark.promise("fault.store_silent"), pytest.mark.slow]

MANY = 5 * (POOL_SIZE + 10)  # most wait for a connection, in several rounds if they may
SLACK_S = 10.0  # drivers clear up before they let go, two seconds a connection
SOCKET = ".s.PGSQL.5432"


class Relay:
    """Stands before a PostgreSQL. While `silent` nothing passes; what was connected then stays so for ever."""

    def __init__(self, before: str) -> None:
        self._before = before
        self._loud: list[asyncio.Event] = []
        self._pumps: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.silent = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loud = asyncio.Event()
        self._loud.append(loud)
        if not self.silent:
            loud.set()
        there, back = await asyncio.open_unix_connection(f"{self._before}/{SOCKET}")
        self._writers += [writer, back]
        self._pumps += [asyncio.create_task(_pump(*way, loud)) for way in ((reader, back), (there, writer))]

    def hush(self) -> None:
        """Let nothing through any more."""
        self.silent = True
        for loud in self._loud:
            loud.clear()

    async def close(self) -> None:
        """End what still passes."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # the loop lets go of them in its next turn


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, loud: asyncio.Event) -> None:
    while data := await source.read(65536):
        await loud.wait()
        target.write(data)
    await loud.wait()
    target.close()


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[tuple[Relay, str]]:
    if "host=/" not in postgres_url:
        pytest.skip("only a PostgreSQL on a socket of this machine is silenced: install it")
    relay = Relay(postgres_url.partition("host=")[2])
    with tempfile.TemporaryDirectory(prefix="pdp-relay-") as folder:
        async with await asyncio.start_unix_server(relay, f"{folder}/{SOCKET}"):
            yield relay, f"{postgres_url.partition('host=')[0]}host={folder}"
            await relay.close()


async def ask(store: Store) -> object:
    async with reading(store) as connection:
        return await newest_changes(connection)


async def within(seconds: float, work: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(work)), seconds)


async def test_who_asks_is_told_and_connections_that_work_again_are_used(relay: tuple[Relay, str]) -> None:
    silence, url = relay
    store = await open_store(url)
    silence.hush()
    asking = [asyncio.create_task(ask(store)) for _ in range(MANY)]
    told = await within(
        CONNECTED_WITHIN_S + STATEMENT_WITHIN_S + SLACK_S, asyncio.gather(*asking, return_exceptions=True)
    )
    assert {type(one) for one in told} == {StoreUnavailable}
    silence.silent = False
    assert await within(SLACK_S, ask(store))
    await within(STATEMENT_WITHIN_S + SLACK_S, store.dispose())


async def test_a_stop_ends(relay: tuple[Relay, str], tmp_path: Path, clock: FakeClock) -> None:
    silence, url = relay
    store, log = await open_store(url), Log(tmp_path / "log" / "0", clock)
    heads = Heads(log, store, clock, log_key(tmp_path))
    await heads.start()
    await log.append("decision", {"id": "dec_1"}, durable=True, deadline=asyncio.get_running_loop().time() + 5)
    silence.hush()
    await within(LAST_KEPT_WITHIN_S + STATEMENT_WITHIN_S + SLACK_S, heads.close())
    await within(SLACK_S, log.close())
    await within(STATEMENT_WITHIN_S + SLACK_S, store.dispose())
