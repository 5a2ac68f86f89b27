"""The stores a contract is tested on: a SQLite file, and a PostgreSQL started for the purpose where there is one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from pdp.store.sql import open_store, transaction

NOBODY = 65534  # PostgreSQL refuses to run as root; this user owns nothing else


def postgres_programs() -> Path | None:
    """Return the folder of a local PostgreSQL's programs, None without one."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian keeps them off PATH
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """Run a fresh PostgreSQL on a unix socket in a folder of its own; yields the URL of its database."""
    folder = Path(tempfile.mkdtemp(prefix="pdp-pg-"))
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, user, -1)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=50)

    run("initdb", "-U", "pdp", "-A", "trust", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+asyncpg://pdp@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the URL of a PostgreSQL that the whole run shares; skips loudly where there is none."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("there is no local `postgres`: the store's contract was tested on SQLite only")
    with postgres(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'pdp.db'}"
    found: str = request.getfixturevalue("postgres_url")
    store = await open_store(found)
    async with transaction(store) as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await store.dispose()
    return found
