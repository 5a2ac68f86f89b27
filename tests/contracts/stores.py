"""The stores a contract is tested on: a SQLite file, and a PostgreSQL started for the purpose where there is one.

A local PostgreSQL is preferred (it is there in a second); else a container, where a Docker daemon answers and has or
gets the image; only without either is PostgreSQL skipped.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from pdp.store.sql import open_store, transaction
from tests.migrated import url_at

IMAGE = "postgres:15"
POSTGRES = "999:999"  # the image's own user: without rights to give up
IN_MEMORY = [
    f"--tmpfs={folder}:uid=999,gid=999,mode=0700" for folder in ("/var/run/postgresql", "/var/lib/postgresql/data")
]
READY = ["pg_isready", "--host", "127.0.0.1", "--username", "postgres"]  # over TCP: not yet while it is being set up
READY_WITHIN_S = 60.0
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


def docker(*words: str) -> str:
    """Run docker and return what it says. Raises `OSError` or `subprocess.CalledProcessError`."""
    done = subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=300)
    return done.stdout.strip()


@contextmanager
def contained_postgres() -> Iterator[str]:
    """Run a fresh PostgreSQL in a container, published on loopback; yields the URL of its database."""
    secret = secrets.token_hex(16)
    options = ["--rm", "--detach", "--user", POSTGRES, "--publish", "127.0.0.1::5432", *IN_MEMORY]
    name = docker("run", *options, "--env", f"POSTGRES_PASSWORD={secret}", IMAGE)
    try:
        port = docker("port", name, "5432/tcp").splitlines()[0].rpartition(":")[2]
        end = time.monotonic() + READY_WITHIN_S
        while subprocess.run(["docker", "exec", name, *READY], capture_output=True, check=False).returncode:
            assert time.monotonic() < end, f"{IMAGE} was not ready within {READY_WITHIN_S} s"
            time.sleep(0.1)
        yield f"postgresql+asyncpg://postgres:{secret}@127.0.0.1:{port}/postgres"
    finally:
        docker("rm", "--force", name)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the URL of a PostgreSQL that the whole run shares; skips loudly where there is none."""
    programs = postgres_programs()
    if programs is None:
        try:
            docker("info")
        except (OSError, subprocess.SubprocessError):
            pytest.skip("there is neither `postgres` nor a Docker daemon: the store was tested on SQLite only")
    with postgres(programs) if programs else contained_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store without a row; on PostgreSQL it has no tables either."""
    if request.param == "sqlite":
        return url_at(tmp_path / "pdp.db")
    found: str = request.getfixturevalue("postgres_url")
    store = await open_store(found)
    async with transaction(store) as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await store.dispose()
    return found
