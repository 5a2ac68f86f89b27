"""A store of the newest schema at once: a copy of an empty one, which is migrated once a process (0.1 s of CPU)."""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from pdp.store.sql import open_store


def url_at(file: Path) -> str:
    """Return the URL of a SQLite store in `file`; where there is no such file, a new one is laid there."""
    if not file.exists():
        lay(file)
    return f"sqlite+aiosqlite:///{file}"


def lay(file: Path) -> None:
    """Lay a store without a row in `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(_empty())


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as aside:
        file = Path(folder) / "pdp.db"
        aside.submit(asyncio.run, _migrate(file)).result()
        return file.read_bytes()


async def _migrate(file: Path) -> None:
    await (await open_store(f"sqlite+aiosqlite:///{file}")).dispose()
