"""The schema: migrations and tables agree, starts do not race, and a file nobody else may read."""

import asyncio
import stat
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text

from pdp.errors import Fault
from pdp.store.sql import Store, StoreUnavailable, open_store, reading, transaction
from pdp.store.tables import groups, metadata

pytestmark = pytest.mark.promise("store.schema")


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'pdp.db'}"


def drift(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrations_lead_to_the_tables_we_use(tmp_path: Path) -> None:
    store = await open_store(url(tmp_path))
    async with store.connect() as connection:
        assert await connection.run_sync(drift) == []
    await store.dispose()


async def test_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    for number in range(8):  # one start in twenty met another that was about to make the file a write-ahead one
        at = url(tmp_path / str(number))
        stores = await asyncio.gather(*(open_store(at) for _ in range(6)))
        async with reading(stores[0]) as connection:
            assert len((await connection.execute(text("SELECT version_num FROM alembic_version"))).all()) == 1
        await asyncio.gather(*(store.dispose() for store in stores))


async def test_the_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    store = await open_store(url(tmp_path / "new" / "folder"))
    assert stat.S_IMODE((tmp_path / "new" / "folder" / "pdp.db").stat().st_mode) == 0o600
    await store.dispose()


async def test_opening_a_store_twice_in_one_process_leaves_it_safe_from_another_process(tmp_path: Path) -> None:
    """Closing any handle on a SQLite file drops the locks of others in the process; a stranger then cleans up."""
    first = await open_store(url(tmp_path))
    async with first.connect() as connection:
        await connection.execute(text("SELECT count(*) FROM principals"))
        await (await open_store(url(tmp_path))).dispose()
        script = (
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('DELETE FROM signals'); db.commit()"
        )
        stranger = [sys.executable, "-c", f"{script}; db.close()", str(tmp_path / "pdp.db")]
        await (await asyncio.create_subprocess_exec(*stranger)).wait()
        assert (tmp_path / "pdp.db-wal").exists(), "the other process believed that it was alone"
    await first.dispose()


async def test_a_schema_from_a_newer_release_is_not_touched(tmp_path: Path) -> None:
    store = await open_store(url(tmp_path))
    async with transaction(store) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await store.dispose()
    with pytest.raises(Fault, match="not one this release knows"):
        await open_store(url(tmp_path))


@pytest.mark.parametrize(
    "wrong",
    ["", "nonsense", "mysql://localhost/x", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:", "oracle+x://a"],
)
async def test_a_url_we_do_not_support_is_a_fault_that_says_what_to_write(wrong: str) -> None:
    with pytest.raises(Fault, match="PDP_DATABASE_URL"):
        await open_store(wrong)


async def test_a_store_that_cannot_be_reached_is_said_to_be_so_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "pdp.db").write_text("this is not a database, but it is long enough to be looked at as one" * 100)
    with pytest.raises(StoreUnavailable):
        await open_store(url(tmp_path))
    with pytest.raises(StoreUnavailable) as refused:
        await open_store(f"postgresql+asyncpg://pdp:secret@/pdp?host={tmp_path}")
    assert "secret" not in str(refused.value)


async def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = await open_store(url(tmp_path))

    async def fail() -> None:
        async with transaction(store) as connection:
            await connection.execute(text("INSERT INTO roles (id, display, source) VALUES ('r', '', 't')"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with reading(store) as connection:
        assert (await connection.execute(text("SELECT count(*) FROM roles"))).scalar_one() == 0
    await store.dispose()


async def test_what_is_read_is_of_one_moment(tmp_path: Path) -> None:
    store = await open_store(url(tmp_path))
    count = text("SELECT count(*) FROM roles")
    async with reading(store) as early:
        assert (await early.execute(count)).scalar_one() == 0
        async with transaction(store) as connection:
            await connection.execute(text("INSERT INTO roles (id, display, source) VALUES ('r', '', 't')"))
        assert (await early.execute(count)).scalar_one() == 0
    async with reading(store) as late:
        assert (await late.execute(count)).scalar_one() == 1
    await store.dispose()


@pytest.mark.promise("store.free")
async def test_a_transaction_that_was_cancelled_holds_nobody_up_however_long_it_is_remembered(
    tmp_path: Path,
) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'pdp.db'}")
    remembered = []
    try:
        for delay in range(60):
            cancelled = asyncio.create_task(_write(store, f"a-{delay}"))
            remembered.append(cancelled)
            await asyncio.wait({cancelled}, timeout=delay / 5000)
            cancelled.cancel()
            await asyncio.wait({cancelled})
            await asyncio.wait_for(_write(store, f"b-{delay}"), 5)
    finally:
        await store.dispose()
    assert any(task.cancelled() for task in remembered)


async def _write(store: Store, name: str) -> None:
    rows = [{"id": f"{name}-{number}", "display": "x" * 500, "source": "test"} for number in range(60)]
    async with transaction(store) as connection:
        for chunk in (rows[:20], rows[20:40], rows[40:]):
            await connection.execute(insert(groups).values(chunk))
            await connection.execute(select(groups.c.id).where(groups.c.source == "test"))
