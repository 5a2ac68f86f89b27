"""Where commands that change something work: the store, and a log of their own, `log/cli/`, that says they did."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..audit.log import Log
from ..audit.office import Office
from ..settings import load
from ..store.sql import open_store
from ..times import system_clock

T = TypeVar("T")


async def in_office(work: Callable[[Office], Awaitable[T]], database: str | None = None) -> T:
    """Open the store and the commands' log, do `work`, close both. Raises `Fault` when either cannot be used."""
    settings = load()
    store = await open_store(database or settings.store_url)
    try:
        log = Log(settings.data_dir / "log" / "cli", system_clock)
        try:
            return await work(Office(store, log, system_clock))
        finally:
            await log.close()
    finally:
        await store.dispose()
