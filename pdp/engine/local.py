"""Runs OPA itself: starts a child, watches it, replaces it when it dies or hangs, and refuses calls meanwhile."""

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ..errors import Fault, Refused
from .child import SOCKET, Child
from .opa import CONNECTIONS

logger = logging.getLogger(__name__)

PROBE_EVERY = 1.0  # seconds between two health checks; one costs OPA well under a millisecond
MISSES = 3  # in a row, a second for each: after 6 s of silence OPA will not come back by itself
FIRST_PAUSE = 0.05  # seconds before the first restart
LONGEST_PAUSE = 2.0  # seconds; a start takes 0.1, so that allows are back within 3 s of a death
STEADY_AFTER = 10.0  # seconds a child must live for the next death to count as the first


class LocalOpa:
    """An `Engine` that owns its OPA. While there is none, every call is refused with `engine.unavailable` at once."""

    def __init__(
        self,
        binary: Path,
        bundle: Path,
        revision: str,
        run_dir: Path,
        connections: int,
        *,
        restarted: Callable[[], None],
    ) -> None:
        self._binary = binary
        self._bundle = bundle
        self._content: bytes | None = None  # of a tarball: a restart runs what was checked, not what is there by then
        self._revision = revision
        self._run_dir = run_dir
        self._connections = connections
        self._child: Child | None = None  # the one that answers
        self._last: Child | None = None  # the one to clean up after
        self._watching: asyncio.Task[None] | None = None
        self._restarted = restarted

    @classmethod
    async def start(
        cls,
        binary: Path,
        bundle: Path,
        revision: str,
        run_dir: Path,
        *,
        connections: int = CONNECTIONS,
        restarted: Callable[[], None] = lambda: None,
    ) -> Self:
        """Run `binary` on `bundle` (a tarball or directory whose digest is `revision`) and return when it is ready.

        The socket is made in a private directory below `run_dir`. OPA is tied to the thread this runs on: the main
        thread, whose end is ours. `restarted` is called whenever another has taken the place of one that died or hung.
        Raises `Fault`, saying what OPA said, when it does not become ready.
        """
        if sys.platform != "linux":
            logger.warning("On this system OPA outlives a PDP that is killed by SIGKILL: end it by hand then.")
        engine = cls(binary, bundle, revision, run_dir, connections, restarted=restarted)
        engine._content = await asyncio.to_thread(_content_of, bundle)
        engine._child = await engine._spawn()
        engine._watching = asyncio.create_task(engine._watch(engine._child))
        engine._watching.add_done_callback(_report)
        return engine

    @property
    def revision(self) -> str:
        """Return the digest of the policy that every answer must come from."""
        return self._revision

    @property
    def pid(self) -> int | None:
        """Return the process id of the OPA that answers now, if one does."""
        return self._child.process.pid if self._child else None

    @property
    def socket(self) -> Path | None:
        """Return the path of its socket."""
        return self._child.home / SOCKET if self._child else None

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a connection to OPA."""
        return self._child.client.waiting if self._child else 0

    @property
    def running(self) -> bool:
        """Say whether there is an OPA."""
        return self._child is not None

    async def evaluate(self, entrypoint: str, document: bytes, deadline: float) -> bytes:
        """Evaluate `data.<entrypoint>` on `document`; see `Engine.evaluate` for the refusals."""
        if self._child is None:
            raise Refused("engine.unavailable", "OPA is being restarted")
        return await self._child.client.evaluate(entrypoint, document, deadline)

    async def close(self) -> None:
        """End OPA and remove its directory; calls on the way are refused. May be repeated."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        self._child = None
        if self._last is not None:
            await self._last.stop()

    async def _watch(self, child: Child) -> None:
        """Replace the child whenever it is in trouble."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            born = loop.time()
            why = await trouble(child)
            self._child = None
            await child.stop(patience=0)
            if loop.time() - born > STEADY_AFTER:
                pause = FIRST_PAUSE
            logger.error("OPA %d %s; calls are denied until another runs", child.process.pid, why)
            child, pause = await self._revive(pause)
            self._child = child
            self._restarted()
            logger.warning("OPA %d answers in its place", child.process.pid)

    async def _revive(self, pause: float) -> tuple[Child, float]:
        """Start OPA again, each time after a longer pause; returns the child and the pause before the next restart."""
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                return await self._spawn(), pause
            except Fault as fault:
                logger.error("%s Trying again in %.2f s.", fault, pause)  # noqa: TRY400  # the sentence says it all

    async def _spawn(self) -> Child:
        place = self._binary, self._bundle, self._revision, self._run_dir, self._connections
        self._last = await Child.start(*place, content=self._content)
        return self._last


def _content_of(bundle: Path) -> bytes | None:
    try:
        return bundle.read_bytes() if bundle.is_file() else None
    except OSError as error:
        raise Fault(f"The policy {bundle} cannot be read ({error}): make it readable for this user.") from None


async def trouble(child: Child) -> str:
    """Wait until `child` has ended or answers no more, and say which."""
    missed = 0
    while missed < MISSES:
        await asyncio.wait({child.ended}, timeout=PROBE_EVERY)
        if child.ended.done():
            return f"ended with status {child.ended.result()}"
        missed = 0 if await child.well() else missed + 1
    return f"missed {missed} health checks in a row"


def _report(watching: asyncio.Task[None]) -> None:
    if not watching.cancelled() and (error := watching.exception()):
        logger.critical("OPA is not watched any more; restart the PDP", exc_info=error)
