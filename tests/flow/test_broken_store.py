"""A store that is locked, overwritten or slow, really: denied on record, and allowed again once it is well."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pdp.app import open_service
from pdp.errors import Fault
from pdp.flow import answer
from pdp.identify import Asker
from pdp.query import query_from
from pdp.store.sql import open_store
from pdp.store.together import ASKED_WITHIN_S
from tests.conftest import FakeClock
from tests.contracts.engines import until
from tests.contracts.stores import postgres_url  # noqa: F401  # a fixture
from tests.flow.test_faults import allowed_again, recorded, said
from tests.service import calm, running

pytestmark = pytest.mark.promise("fault.store_broken")
DECIDE_S = 1.5
SOON_S = 8.0  # two deadlines and a busy machine
STALE_S = 6  # a second more than the published bound
BIG = {"order": "o-1", "amount": 6000}  # people are asked
EVERYTHING = "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
async def fresh(postgres_url: str) -> str:  # noqa: F811
    """Return the URL of an empty PostgreSQL."""
    store = await open_store(postgres_url)
    async with store.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await store.dispose()
    return postgres_url


@asynccontextmanager
async def locked(url: str, *tables: str) -> AsyncIterator[None]:
    """Lock tables of a PostgreSQL, all of them unless named, against readers too."""
    store = await open_store(url)
    async with store.connect() as connection:
        found = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        every = [str(row[0]) for row in found]
        await connection.execute(text(EVERYTHING.format(", ".join(tables or every))))
        yield
        await connection.rollback()
    await store.dispose()


@contextmanager
def written_by_another(database: Path) -> Iterator[None]:
    """Hold the one right to write to a SQLite file."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.fault("store.locked")
async def test_while_another_writes_reads_go_on_and_what_must_write_is_a_recorded_deny_in_time(tmp_path: Path) -> None:
    async with running(tmp_path / "data", org_dir=calm(tmp_path / "org"), record_within_s=0.5) as pdp:
        with written_by_another(tmp_path / "data" / "pdp.db"):
            assert (await pdp.ask())["decision"] == "allow"
            began = time.monotonic()
            given = await pdp.ask("create_refund", BIG)
            assert time.monotonic() - began < SOON_S, "SQLite itself waits 10 s for a lock"
            assert given["decision"] == recorded(pdp, given) == "deny"
            assert said(given)[1] in (["deadline"], ["approvals.unavailable"])
        given = await pdp.ask("create_refund", BIG)
        assert given["decision"] == "needs_approval"
        await until(lambda: not pdp.service.world.deadlines._let_go, 15.0)  # what was late has ended by itself


@pytest.mark.fault("store.locked")
async def test_while_everything_is_locked_a_stranger_is_late_and_those_we_know_go_stale(
    fresh: str, tmp_path: Path
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock, database_url=fresh, decide_within_s=DECIDE_S) as pdp:
        await allowed_again(pdp)
        async with locked(fresh):
            given = await pdp.ask(token=pdp.token(sub="00u-somebody-else", sid="s-2"))
            assert said(given) == ("deny", ["deadline"])
            assert recorded(pdp, given) == "deny"
            clock.advance(STALE_S)
            given = await pdp.ask()
            assert said(given) == ("deny", ["facts.stale"])
            assert recorded(pdp, given) == "deny"
        await allowed_again(pdp)


def overwrite(database: Path) -> None:
    """Write noise over every page, from another process: closing the file here would drop SQLite's locks on it."""
    code = (
        "import os, pathlib, sys\n"
        "for path in map(pathlib.Path, sys.argv[1:]):\n"
        "    if path.exists():\n"
        "        with path.open('r+b') as file: file.write(os.urandom(path.stat().st_size))\n"
    )
    files = [str(database), f"{database}-wal"]
    subprocess.run([sys.executable, "-c", code, *files], check=True, timeout=30)


@pytest.mark.fault("store.corrupt")
async def test_an_overwritten_store_gives_nobody_new_rights_and_no_start(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path / "data", clock) as pdp:
        await allowed_again(pdp)
        overwrite(tmp_path / "data" / "pdp.db")
        pdp.service.world.people._forget_all()  # as after any change: everyone has to be read again
        given = await pdp.ask()
        assert given["decision"] == recorded(pdp, given) == "deny"
        assert said(given)[1][0].startswith("facts.")
        clock.advance(STALE_S)
        assert said(await pdp.ask())[1][0].startswith("facts.")
    with pytest.raises(Fault, match="store"):
        async with open_service(pdp.settings, clock):
            pass


class Line:
    """A line to a PostgreSQL on which whatever it answers takes `delay_s` seconds longer."""

    def __init__(self, socket: str) -> None:
        self._socket, self.delay_s = socket, 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        theirs, ours = await asyncio.open_unix_connection(self._socket)
        for source, sink, slow in ((reader, ours, False), (theirs, writer, True)):
            task = asyncio.create_task(self._carry(source, sink, slow=slow))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slow: bool) -> None:
        try:
            while data := await source.read(65536):
                if slow:
                    await asyncio.sleep(self.delay_s)
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    async def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def slowed(url: str, folder: Path) -> AsyncIterator[tuple[Line, str]]:
    """Yield a line to that PostgreSQL, and the URL that leads over it."""
    where = url.rpartition("host=")[2]
    line = Line(f"{where}/.s.PGSQL.5432")
    server = await asyncio.start_unix_server(line.serve, folder / ".s.PGSQL.5432")
    try:
        yield line, url.replace(where, str(folder))
    finally:
        server.close()
        await line.close()


@pytest.mark.fault("store.slow", "deadline.identify")
async def test_a_slow_store_makes_strangers_late_and_goes_stale_and_comes_back(
    fresh: str, tmp_path: Path, socket_folder: Path
) -> None:
    if "host=" not in fresh:
        pytest.skip("no slow store was tried: PostgreSQL is reached over TCP here")
    clock = FakeClock()
    async with (
        slowed(fresh, socket_folder) as (line, url),
        running(tmp_path, clock, database_url=url, decide_within_s=DECIDE_S) as pdp,
    ):
        await allowed_again(pdp)
        line.delay_s = 5.0
        given = await pdp.ask(token=pdp.token(sub="00u-somebody-else", sid="s-2"))
        assert said(given) == ("deny", ["deadline"])
        assert recorded(pdp, given) == "deny"
        assert (await pdp.ask())["decision"] == "allow", "whom we know does not wait for the store"
        clock.advance(STALE_S)
        assert said(await pdp.ask()) == ("deny", ["facts.stale"])
        line.delay_s = 0.0
        await allowed_again(pdp)


@pytest.mark.fault("deadline.enrich", "store.locked")
async def test_facts_that_are_late_are_a_recorded_deny(fresh: str, tmp_path: Path) -> None:
    async with running(tmp_path, database_url=fresh, decide_within_s=DECIDE_S) as pdp:
        await allowed_again(pdp)
        query = {**pdp.query(), "caller": {"asserted": {"person": "alice"}}}
        async with locked(fresh, "sessions"):
            given = await answer(query_from(query), "pep_test", "r-1", pdp.service.world, Asker("pep_test"))
            assert [reason.code for reason in given.reasons] == ["deadline"]
            entry: Any = recorded(pdp, {"id": given.id})
            assert entry == "deny"
        given = await answer(query_from(query), "pep_test", "r-1", pdp.service.world, Asker("pep_test"))
        assert [reason.code for reason in given.reasons] != ["deadline"]


@pytest.mark.fault("store.locked", "deadline.decide")
async def test_approvals_that_cannot_be_looked_up_in_time_are_a_recorded_deny(fresh: str, tmp_path: Path) -> None:
    org = calm(tmp_path / "org")
    async with running(tmp_path / "data", org_dir=org, database_url=fresh, decide_within_s=DECIDE_S) as pdp:
        await allowed_again(pdp)
        async with locked(fresh, "approvals"):
            began = time.monotonic()
            given = await pdp.ask("create_refund", BIG)
            assert time.monotonic() - began < SOON_S
            assert said(given) == ("deny", ["deadline"])
            assert recorded(pdp, given) == "deny"
        assert (await pdp.ask("create_refund", BIG))["decision"] == "needs_approval"
        await until(lambda: not pdp.service.world.deadlines._let_go, 15.0)


@pytest.mark.promise("api.outcome")
async def test_outcomes_that_cannot_be_looked_up_in_time_are_told_so_and_taken_once_the_store_answers(
    fresh: str, tmp_path: Path
) -> None:
    async with running(tmp_path, database_url=fresh) as pdp:
        decision = (await pdp.ask())["id"]
        path, executed = f"/v1/decisions/{decision}/outcome", {"disposition": "executed"}
        async with locked(fresh, "decisions"):
            told = await asyncio.wait_for(pdp.post(path, executed), ASKED_WITHIN_S + SOON_S)
            assert (told.status_code, told.json()["code"]) == (503, "store.unavailable")
        assert (await pdp.post(path, executed)).status_code == 200
