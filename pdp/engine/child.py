"""One OPA process of ours: its private directory, its socket, and a client for it.

OPA silently takes over whatever file is at its socket's path, even a live server's socket, and makes the socket before
it narrows its mode; so each child gets a fresh directory that only we may enter.
"""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections import deque
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

from ..errors import Fault, Refused
from . import leash
from .opa import OpaClient

logger = logging.getLogger(__name__)

SOCKET = "opa.sock"
READY_WITHIN = 10.0  # seconds; 0.04 are usual, but a loaded machine or a large bundle takes longer
READY_POLL = 0.005  # seconds between two looks: a fraction of the usual start
ANSWERS_WITHIN = 1.0  # seconds for a health check, 300 times the usual
STOPS_WITHIN = 2.0  # seconds from SIGTERM to SIGKILL; with no connection left OPA stops at once
LONGEST_SOCKET_PATH = 103  # bytes: sockaddr_un holds 104 on macOS and 108 on Linux, with the closing zero
KEPT_LINES = 20  # of what OPA said, for the sentence that says why it stopped
LONGEST_LINE = 500  # characters of each line that are logged and kept


class Child:
    """A running OPA. `ended` is done when its process is; `stop` leaves neither process nor directory."""

    def __init__(self, process: asyncio.subprocess.Process, home: Path, client: OpaClient) -> None:
        self.process = process
        self.home = home
        self.client = client
        self.ended = asyncio.create_task(process.wait())
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        binary: Path,
        bundle: Path,
        revision: str,
        run_dir: Path,
        connections: int,
        *,
        content: bytes | None = None,
    ) -> Self:
        """Start OPA on `bundle` and return it once it is ready. Raises `Fault` when it does not get there.

        With `content` it runs a copy of that, which only we can reach, and `bundle` is where that came from.
        """
        async with AsyncExitStack() as undo:
            home = private_directory(run_dir)
            undo.callback(shutil.rmtree, home, ignore_errors=True)
            runs = bundle if content is None else _own_copy(content, home)
            launching = asyncio.create_task(launch(command(binary, runs, home / SOCKET)))
            undo.push_async_callback(_end, launching)  # a launch that was cancelled half-way would leave its process
            process = await asyncio.shield(launching)
            child = cls(process, home, OpaClient(f"unix://{home / SOCKET}", revision, connections=connections))
            undo.push_async_callback(child.stop)
            await child._become_ready(bundle)
            undo.pop_all()
        return child

    async def well(self) -> bool:
        """Ask OPA for its health."""
        try:
            await self.client.ping(asyncio.get_running_loop().time() + ANSWERS_WITHIN)
        except Refused:
            return False
        return True

    async def stop(self, patience: float = STOPS_WITHIN) -> None:
        """Close the client, end the process and remove the directory. May be repeated.

        SIGTERM first, SIGKILL when that did not help within `patience` seconds.
        """
        await self.client.close()
        with suppress(ProcessLookupError):
            self.process.terminate()
        await asyncio.wait({self.ended}, timeout=patience)
        with suppress(ProcessLookupError):
            self.process.kill()
        await asyncio.wait({self.ended, self._listening})
        shutil.rmtree(self.home, ignore_errors=True)

    async def _become_ready(self, bundle: Path) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_WITHIN
        while not await self.well():
            if self.ended.done():
                await self._listening
                said = " / ".join(self._said) or "nothing"
                raise Fault(
                    f"OPA stopped with status {self.ended.result()} and said: {said}. "
                    f"If this is about the policy, look at it: opa inspect {bundle}"
                )
            if loop.time() > deadline:
                raise Fault(f"OPA was not ready within {READY_WITHIN:.0f} s: look at the load of this machine.")
            await asyncio.sleep(READY_POLL)

    async def _listen(self) -> None:
        """Log what OPA says, a bounded piece at a time."""
        output = self.process.stdout
        while output is not None and (piece := await output.read(4096)):
            for line in piece.decode(errors="replace").splitlines():
                self._said.append(line[:LONGEST_LINE])
                logger.warning("OPA %d: %s", self.process.pid, line[:LONGEST_LINE])


def _own_copy(content: bytes, home: Path) -> Path:
    copy = home / "policy.tar.gz"
    try:
        copy.write_bytes(content)
    except OSError as error:
        raise Fault(f"The policy cannot be copied for OPA ({error}): make room in {home.parent}.") from None
    return copy


async def _end(launching: asyncio.Task[asyncio.subprocess.Process]) -> None:
    with suppress(Fault, ProcessLookupError):
        process = await launching
        process.kill()
        await process.wait()


async def launch(command_line: list[str]) -> asyncio.subprocess.Process:
    """Start OPA apart from our terminal, what it says in a pipe. Raises `Fault` when the system has no room for it."""
    try:
        return await asyncio.create_subprocess_exec(
            *command_line,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,  # OPA says on stdout what is wrong with a bundle
            start_new_session=True,  # Ctrl-C and a closing terminal are ours to handle; OPA would end at once
        )
    except OSError as error:
        raise Fault(f"OPA could not be started ({error}): free processes, memory or file handles.") from None


def command(binary: Path, bundle: Path, socket: Path) -> list[str]:
    """Return the command line that becomes OPA, on a leash held by this process."""
    leashed = [sys.executable, "-I", "-S", "-B", leash.__file__, str(os.getpid()), str(binary.resolve())]
    listen = ["--addr", f"unix://{socket}", "--unix-socket-perm", "600"]
    quiet = ["--log-level", "error", "--skip-version-check"]
    return [*leashed, "run", "--server", *listen, *quiet, "--bundle", str(bundle.resolve())]


def private_directory(run_dir: Path) -> Path:
    """Make a fresh directory of mode 0700 in `run_dir`, or in the system's own when the socket's path gets too long.

    Raises `Fault` when neither works.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for place in (run_dir.resolve(), None):
            home = Path(tempfile.mkdtemp(prefix="opa-", dir=place))
            if len(os.fsencode(home / SOCKET)) <= LONGEST_SOCKET_PATH:
                return home
            home.rmdir()
    except OSError as error:
        raise Fault(f"No directory for OPA's socket ({error}): make {run_dir} writable.") from None
    raise Fault(f"A socket's path may have {LONGEST_SOCKET_PATH} bytes: set TMPDIR to a shorter directory.")
