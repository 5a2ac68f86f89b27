"""What the commands about rules share: the pack they mean, the OPA they run, and work in a running policy."""

import asyncio
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..engine import Engine
from ..engine.binary import OPA, find, places
from ..engine.local import LocalOpa
from ..policy.origin import Origin, load
from ..policy.pack import Pack, default_pack_dir
from ..settings import Settings
from ..times import system_clock

T = TypeVar("T")


def pack_dir(settings: Settings) -> Path:
    """Return the folder of the pack: the one that is named, or the one in the package."""
    return settings.policy_dir or default_pack_dir()


def opa_of(settings: Settings) -> Path:
    """Return the OPA to run."""
    return find(OPA, places(OPA, os.environ, settings.opa_binary)).path


def many(count: int, one: str, more: str = "") -> str:
    """Return `1 case` or `2 cases`."""
    return f"{count} {one if count == 1 else more or f'{one}s'}"


@contextmanager
def workshop() -> Iterator[tuple[Path, Callable[[str], None]]]:
    """Yield a folder that goes away, and what says to a terminal, on stderr, which part of long work is done now.

    What OPA itself says (that it runs as root, for one) is for those who operate it: here only its failures are shown.
    """
    logging.getLogger("pdp.engine").setLevel(logging.CRITICAL)
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with (
        tempfile.TemporaryDirectory(prefix="pdp-") as folder,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("Reading the rules", total=None)
        yield Path(folder), lambda what: progress.update(task, description=what)


def with_engine(settings: Settings, work: Callable[[Engine, Pack], Awaitable[T]]) -> T:
    """Build the policy that the settings name, run it in an OPA of its own, do `work` and end it."""
    origin = Origin(
        policy_dir=settings.policy_dir,
        org_dir=settings.org_dir,
        bundle=settings.policy_bundle,
        keys=settings.policy_keys,
    )
    with workshop() as (folder, say):
        say("Building the rules")
        pack = load(origin, opa_of(settings), folder, system_clock())
        say("Trying")
        return asyncio.run(_run(settings, pack, folder / "run", work))


async def _run(settings: Settings, pack: Pack, folder: Path, work: Callable[[Engine, Pack], Awaitable[T]]) -> T:
    engine = await LocalOpa.start(opa_of(settings), pack.bundle, pack.revision, folder)
    try:
        return await work(engine, pack)
    finally:
        await engine.close()
