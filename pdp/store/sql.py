"""Open the store: SQLite by default, PostgreSQL by setting; one schema, brought up to date at start.

A connection to a SQLite file that was deleted or replaced would go on reading the old one, so every use checks that
the file is still the one the connection was opened on: a store that went away is an error, never old rights.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from ..errors import Fault
from .changes import lock

BUSY_TIMEOUT_MS = 10_000  # a writer waits this long for another: a busy disk can hold up a commit for seconds
LOCKED_AGAIN_S = 0.02  # until a new file is tried again whose layout another process is writing
PAGE_CACHE_KB = 512  # of each connection to SQLite; the kernel has the file's pages too
POOL_SIZE = 8  # connections a process keeps; the decision path needs none when warm
STATEMENT_WITHIN_S = 10.0  # as long for PostgreSQL: one gone silent must not keep connections, nor hold up a stop
CONNECTED_WITHIN_S = 5.0  # and to greet it: facts are stale after as long (`store.follow.STALE_AFTER_S`)
WRITERS = {"sqlite": 1, "postgresql": POOL_SIZE}  # at a time: SQLite lets one write, and readers find a connection
TURNS = "turns"  # the execution option with a place for each
CHANGES = "changes"  # and the one with the place of who changes what others keep in memory
DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
Store = AsyncEngine
"""An open store, as the rest of the package names it: SQL and its types stay in this folder."""
StoreConnection = AsyncConnection
"""A connection to it."""

MIGRATIONS = Path(__file__).parent / "migrations"


class StoreUnavailable(Fault):
    """The store could not be reached or did not answer; the message says what went wrong there."""


async def open_store(url: str) -> Store:
    """Return the store at the SQLAlchemy URL `url`, its schema up to date; the caller disposes of it.

    Raises `Fault` for a URL we do not support or a schema from a newer release, `StoreUnavailable` when the
    database cannot be reached.
    """
    store = _connect(_supported(url))
    async with AsyncExitStack() as undo:
        undo.push_async_callback(store.dispose)
        await migrate(store)
        undo.pop_all()
    return store


def as_it_is(url: str) -> Store:
    """Return the store at `url` without making it or touching its schema; the caller disposes of it.

    Raises `Fault` for a URL we do not support, `StoreUnavailable` when there is no such SQLite file yet.
    """
    parsed = _supported(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise StoreUnavailable(f"There is no store {parsed.database} yet.")
    return _connect(parsed)


@asynccontextmanager
async def reading(store: Store) -> AsyncIterator[AsyncConnection]:
    """Yield a connection on which all reads see one moment. Raises `StoreUnavailable`."""
    if store.dialect.name == "postgresql":
        store = store.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with _reachable():
        async with store.connect() as connection:
            yield connection


@asynccontextmanager
async def transaction(store: Store) -> AsyncIterator[AsyncConnection]:
    """Yield a connection whose writes all happen or none do. Raises `StoreUnavailable`.

    Who has to wait for other writers of this process waits without a connection: with one each, they would leave none
    to those who read, and nobody could follow revocations while another process holds the lock.
    """
    with _reachable():
        async with _turn(store, TURNS), store.execution_options(writes=True).begin() as connection:
            yield connection


@asynccontextmanager
async def changing(store: Store) -> AsyncIterator[AsyncConnection]:
    """Yield the same with the change log locked: what is written depends on what is read. Raises `StoreUnavailable`.

    Of this process one at a time: those who wait for the lock of another would hold all turns meanwhile.
    """
    async with _turn(store, CHANGES), transaction(store) as connection:
        await lock(connection)
        yield connection


@asynccontextmanager
async def _turn(store: Store, which: str) -> AsyncIterator[None]:
    turns: asyncio.Semaphore = store.get_execution_options()[which]
    try:
        async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
            await turns.acquire()
    except TimeoutError:
        raise StoreUnavailable("The store keeps its writers waiting: its disk is slow, or another locks it.") from None
    try:
        yield
    finally:
        turns.release()


async def migrate(store: Store) -> None:
    """Bring the schema up to date, once however many processes start together. Raises `Fault`."""
    async with changing(store) as connection:
        try:
            await connection.run_sync(_upgrade)
        except CommandError as error:
            raise Fault(
                f"The store's schema is not one this release knows ({error}): run the release that wrote it, or newer."
            ) from None


def _supported(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Fault("PDP_DATABASE_URL is not a database URL: try sqlite+aiosqlite:///var/pdp/pdp.db.") from None
    if parsed.drivername not in DRIVERS:
        raise Fault(f"PDP_DATABASE_URL names {parsed.drivername}: use sqlite+aiosqlite or postgresql+asyncpg.")
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise Fault("PDP_DATABASE_URL names no file: the store must outlive the process.")
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def _connect(url: URL) -> Store:
    if url.get_backend_name() == "sqlite":
        return _sqlite(Path(url.database or "").absolute())
    # Whatever the server's default is: with more, a transaction that waited for a lock reads what was there before it
    return create_async_engine(
        url,
        pool_size=POOL_SIZE,
        pool_timeout=CONNECTED_WITHIN_S,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={"timeout": CONNECTED_WITHIN_S, "command_timeout": STATEMENT_WITHIN_S},
        execution_options=_turns(url),
    )


def _turns(url: URL) -> dict[str, Any]:
    return {TURNS: asyncio.Semaphore(WRITERS[url.get_backend_name()]), CHANGES: asyncio.Semaphore(1)}


def _sqlite(path: Path) -> Store:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It holds everyone's rights. An existing file is not opened: closing it again would drop every lock that other
        # connections of this process hold on it (fcntl(2), POSIX locks).
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreUnavailable(f"The store {path} cannot be opened: {error.strerror}.") from None
    # mode=rw: a file that went away is an error, not a new and empty store
    url = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"})
    store = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        execution_options=_turns(url),
        connect_args={
            "isolation_level": None,  # we say BEGIN ourselves, so that reads are one snapshot too
            "factory": _LettingGo,
        },
    )
    _listen(store, path)
    return store


class _LettingGo(sqlite3.Connection):
    """Takes its transaction back when it is closed.

    SQLite does so only when the last cursor is gone too. A task that was cancelled in the middle keeps one as long as
    anybody remembers how it ended, and nobody else could write for as long.
    """

    def close(self) -> None:
        """Roll back what was not committed, and close."""
        if self.in_transaction:
            self.rollback()
        super().close()


def _listen(store: Store, path: Path) -> None:
    @event.listens_for(store.sync_engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KB}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = FULL")  # a revocation must survive a power cut
        cursor.close()
        record.info["file"] = _file(path)

    @event.listens_for(store.sync_engine, "checkout")
    def checked_out(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _file(path):
            raise DisconnectionError(f"{path} is no longer the file this connection was opened on")

    @event.listens_for(store.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # IMMEDIATE: a writer that starts as a reader fails when another writer was faster
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _write_ahead(cursor: Any) -> None:
    """Let readers go on while an import writes.

    On a new file this takes a lock that SQLite does not wait for, whatever its `busy_timeout`: who starts while another
    process lays the file out would fail.
    """
    end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            await_only(asyncio.sleep(LOCKED_AGAIN_S))
        else:
            return


def _file(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


class _reachable:  # noqa: N801  # reads as a word at its uses
    """Turns every way a database fails into `StoreUnavailable`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SQLAlchemyError | OSError):
            raise StoreUnavailable(f"The store failed: {type(error).__name__}: {_short(error)}") from error


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else "no details"
