"""`pdp serve --workers N`: one process a core behind one listening socket, each with its own log shard and engine.

The parent binds, starts the workers one after the other (so that the first has migrated the store and built the policy
before the next looks), and waits. What they share is in the store and nowhere else. When one ends, all are ended and
the command fails: whoever runs the service starts it again, and nobody serves with half of it unnoticed
(docs/decisions/0026).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence

import click

from ..engine.leash import PR_SET_PDEATHSIG
from ..errors import Fault
from ..settings import Settings
from .lines import url_at

BACKLOG = 2048  # uvicorn's own
READY = b"pdp serves on "


async def serve_by_workers(settings: Settings, count: int, ends_within_s: float) -> None:
    """Serve until SIGINT or SIGTERM. Raises `Fault` when a worker does not start, or ends by itself."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    workers: list[Process] = []
    with _listening(settings) as listening:
        try:
            while len(workers) < count and not told.is_set():
                workers.append(await start(len(workers), listening))
                await ready(workers[-1], len(workers) - 1, told)
            if not told.is_set():
                click.echo(f"pdp serves on {url_at(settings, listening.getsockname()[1])}")
            ends = [asyncio.create_task(end) for end in (told.wait(), *(worker.wait() for worker in workers))]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not told.is_set():
                raise Fault("A worker ended by itself, so all are ended: see the lines above, and start anew.")
        finally:
            listening.close()  # whoever comes now is refused, instead of waiting for nobody
            await stop(workers, ends_within_s)


def _listening(settings: Settings) -> socket.socket:
    try:
        address, family = (settings.host, settings.port), family_of(settings.host)
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        why = error.strerror or error
        raise Fault(f"Nothing can listen at {settings.host}:{settings.port} ({why}): see what does.") from None


async def start(number: int, listening: socket.socket) -> Process:
    """Start one worker on the shared socket."""
    fd = listening.fileno()
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pdp", "serve", "--worker", str(number), "--fd", str(fd), "--parent", str(os.getpid())),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=[fd],
        start_new_session=True,  # Ctrl-C is ours to hand on
    )


async def stop(workers: Sequence[Process], within_s: float) -> None:
    """Tell all to stop, then wait for all, and kill those that have not ended within `within_s` seconds."""
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            worker.terminate()
    ends = [asyncio.create_task(worker.wait()) for worker in workers]
    if ends:
        await asyncio.wait(ends, timeout=within_s)
    for worker, end in zip(workers, ends, strict=True):
        if not end.done():
            worker.kill()
    await asyncio.gather(*ends)


async def ready(worker: Process, number: int, told: asyncio.Event) -> None:
    """Return when a worker serves, or we are told to stop. Raises `Fault` when it ended instead."""
    if worker.stdout is None:
        raise AssertionError("a worker is started with a pipe")
    line, stop = asyncio.ensure_future(worker.stdout.readline()), asyncio.ensure_future(told.wait())
    await asyncio.wait({line, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not line.done():
        line.cancel()
    elif not line.result().startswith(READY):
        raise Fault(f"Worker {number} did not start: see the lines above.")


def die_with(parent: int) -> None:
    """Let the kernel tell this worker to stop when its parent dies, however that dies (Linux). Raises `Fault`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise Fault("The parent of this worker is gone: start `pdp serve --workers`.")


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family that an address to listen on needs."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
