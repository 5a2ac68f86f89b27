"""Other processes of the demo: `pdp` commands that end, and servers that say where they serve."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from ..errors import Fault

START_WITHIN_S = 30.0  # a cold machine compiles Python and OPA's policy first
STOP_WITHIN_S = 5.0
KEPT = ("PDP_OPA_BINARY", "PDP_CACHE_DIR")  # where OPA is; every other PDP_* of the user's would change the demo


class Started(Struct, frozen=True):
    """A running process, and what followed the words it was waited for."""

    said: str
    pid: int


async def command(settings: Mapping[str, str], *arguments: str) -> str:
    """Run `pdp ARGUMENTS` and return what it printed. Raises `Fault` with its own words when it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pdp", *arguments, env=_environment(settings), stdout=-1, stderr=-1
    )
    try:
        out, err = await process.communicate()
    finally:
        await _stop(process)
    if process.returncode:
        raise Fault(f"`pdp {' '.join(arguments)}` failed: {err.decode().strip()}")
    return out.decode()


async def together(*commands: Coroutine[Any, Any, str]) -> list[str]:
    """Run commands side by side and return what they printed. Raises the first failure once all have ended."""
    ended = await asyncio.gather(*commands, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if isinstance(one, str)]


@asynccontextmanager
async def started(settings: Mapping[str, str], module: str, *arguments: str, says: str) -> AsyncIterator[Started]:
    """Run `python -m MODULE ARGUMENTS` while the context lasts; yields once it printed a line that begins with `says`.

    Raises `Fault` with what it printed when it ends before, or says nothing in time.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=_environment(settings),
        stdout=-1,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said = await _wait_for(process, says, module)
        draining = asyncio.create_task(_output(process).read())  # a full pipe would stop it
        yield Started(said, process.pid)
        draining.cancel()
    finally:
        await _stop(process)


async def _wait_for(process: asyncio.subprocess.Process, says: str, module: str) -> str:
    heard: list[str] = []
    try:
        async with asyncio.timeout(START_WITHIN_S):
            async for raw in _output(process):
                line = raw.decode(errors="replace").rstrip()
                if line.startswith(says):
                    return line.removeprefix(says)
                heard.append(line)
    except TimeoutError:
        heard.append(f"(and nothing more within {START_WITHIN_S:.0f} s)")
    raise Fault(f"`python -m {module}` did not start: " + "\n".join(heard[-20:]))


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _output(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise AssertionError("the process was started without a pipe")
    return process.stdout


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PDP_") or name in KEPT}
    return ours | {"PYTHONUNBUFFERED": "1"} | dict(settings)
