"""The policy in this very process: what OPA compiled to WebAssembly, evaluated through wasmtime. There is no OPA.

An evaluation takes 0.1 ms, as much as handing it to a thread and back, so it runs on the loop's own thread, for
`BRIEFLY` at most. What takes longer, or is large, runs in one of a few threads until its deadline, beside the loop.
"""

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Raw, Struct

from ..deadlines import Deadlines
from ..errors import NOT_JSON, Refused
from .abi import BROKEN, Aborted, Instance, Interrupted, Program
from .compiled import load

logger = logging.getLogger(__name__)

THREADS = 2  # for what takes long: each may be busy for a whole deadline, and has a memory of its own
MAX_WAITING = 1024  # calls that wait for a thread; see engine/opa.py
TICK = 0.005  # seconds between two interruptions on the loop's thread
BRIEFLY = 4  # ticks an evaluation may hold the loop's thread: 15 to 20 ms, a hundred times the usual
BRIEF_BYTES = 16 * 1024  # of input; a larger one takes long by itself: a list of 200 tools has 350,000 and takes 5 ms
TURN = 0.005  # seconds without a pause after which others on the loop have their turn
PATIENCE = 1.0  # seconds: after two stops within them, for as long nothing runs on the loop's thread


class Answer(Struct, frozen=True):
    """One entry of OPA's result set."""

    result: Raw


_ANSWERS = msgspec.json.Decoder(list[Answer])
_ANYTHING = msgspec.json.Decoder(Raw)


class WasmEngine:
    """An `Engine` that is a compiled policy. Make it on the loop that it is asked from."""

    def __init__(self, program: Program, revision: str, *, threads: int = THREADS) -> None:
        self._program = program
        self._revision = revision
        self._loop = asyncio.get_running_loop()
        self._at_hand = Instance(program)  # used by the loop's thread alone
        self._stopped = -PATIENCE  # when an evaluation on the loop's thread was last stopped
        self._not_before = 0.0  # when that thread may evaluate again
        self._paused = time.monotonic()
        self._deadlines = Deadlines()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="policy")
        self._free: asyncio.Queue[Instance] = asyncio.Queue()  # one for each thread
        for _ in range(threads):
            self._free.put_nowait(Instance(program))
        self._busy: dict[asyncio.Future[bytes], Instance] = {}
        self._waiting = 0
        self._closed = threading.Event()
        threading.Thread(target=self._tick, name="policy-clock", daemon=True).start()

    @classmethod
    async def start(cls, bundle: Path, revision: str, *, threads: int = THREADS) -> Self:
        """Load the compiled policy of `bundle`, whose digest is `revision`. Raises `Fault`, saying what to do."""
        return cls(await asyncio.to_thread(load, bundle), revision, threads=threads)

    @property
    def revision(self) -> str:
        """Return the digest of the policy that every answer must come from."""
        return self._revision

    @property
    def waiting(self) -> int:
        """Return how many calls run in a thread, or wait for one."""
        return self._waiting

    @property
    def running(self) -> bool:
        """Say whether this policy may still be asked."""
        return not self._closed.is_set()

    async def evaluate(self, entrypoint: str, document: bytes, deadline: float) -> bytes:
        """Evaluate `data.<entrypoint>` on `document`; see `Engine.evaluate` for the refusals."""
        await self._pause()
        if self._closed.is_set():
            raise Refused("engine.unavailable", "the PDP has let go of this policy")
        number = self._program.entrypoints.get(entrypoint)
        if number is None:
            raise Refused("engine.undefined", f"the compiled policy has no entrypoint {entrypoint}")
        now = self._loop.time()
        if deadline <= now:
            raise Refused("engine.timeout", "the deadline had passed before the policy was asked")
        must_be_json(document)
        try:
            if len(document) <= BRIEF_BYTES and now >= self._not_before:
                return result_of(self._briefly(number, document))
        except Interrupted:
            self._note_stop(now)
        return result_of(await self._at_length(number, document, deadline))

    async def close(self) -> None:
        """Stop what runs; calls on the way are refused with `engine.unavailable`. May be repeated."""
        self._closed.set()
        running = list(self._busy)
        for job in running:
            self._busy[job].interrupt()
        if running:
            await asyncio.wait(running)
        self._threads.shutdown(wait=False)

    def _note_stop(self, now: float) -> None:
        """Leave the loop's thread alone after the second stop; the first may be a machine that had no time for us."""
        if now - self._stopped < PATIENCE:
            self._not_before = now + PATIENCE
        self._stopped = now

    async def _pause(self) -> None:
        """Let others on the loop have their turn; whoever asks on and on waits for nothing by itself."""
        if time.monotonic() - self._paused > TURN:
            await asyncio.sleep(0)
            self._paused = time.monotonic()

    def _briefly(self, number: int, document: bytes) -> bytes:
        """Evaluate here and now. Raises `Interrupted` when that takes too long."""
        self._at_hand = self._renewed(self._at_hand)
        self._at_hand.arm(BRIEFLY)
        return evaluated(self._at_hand, number, document)

    async def _at_length(self, number: int, document: bytes, deadline: float) -> bytes:
        """Evaluate in a thread until the deadline."""
        if self._waiting >= MAX_WAITING:
            raise Refused("engine.unavailable", f"{self._waiting} calls are waiting for a thread already")
        self._waiting += 1
        try:
            with self._deadlines.at(deadline):
                instance = await self._free.get()
                return await self._in_thread(instance, number, document)
        except TimeoutError:
            raise Refused("engine.timeout", "the deadline passed before the policy had an answer") from None
        except Interrupted:
            raise Refused("engine.unavailable", "the PDP has let go of this policy") from None
        finally:
            self._waiting -= 1

    async def _in_thread(self, instance: Instance, number: int, document: bytes) -> bytes:
        """Let a thread evaluate. It stops when this task is cancelled, and its instance is free when it has."""
        if self._closed.is_set():
            self._free.put_nowait(instance)
            raise Interrupted
        instance.arm(1)
        job = self._loop.run_in_executor(self._threads, evaluated, instance, number, document)
        self._busy[job] = instance
        job.add_done_callback(self._ended)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            if not job.done():
                instance.interrupt()
            raise

    def _ended(self, job: asyncio.Future[bytes]) -> None:
        job.exception()  # whoever waited has seen it, or has gone
        self._free.put_nowait(self._renewed(self._busy.pop(job)))

    def _renewed(self, instance: Instance) -> Instance:
        """Return a fresh instance in place of one that was stopped."""
        if not instance.spent or self._closed.is_set():
            return instance
        try:
            return Instance(self._program)
        except BROKEN as error:
            logger.error("No fresh instance of the policy could be made (%s): free memory.", error)  # noqa: TRY400
            return instance

    def _tick(self) -> None:
        """Count time for the loop's thread, which cannot look at a clock while it evaluates."""
        while not self._closed.wait(TICK):
            self._at_hand.interrupt()


def must_be_json(document: bytes) -> None:
    """Raise `Refused` unless `document` is JSON: a policy takes anything else for no input at all."""
    try:
        _ANYTHING.decode(document)
    except NOT_JSON as error:
        raise Refused("engine.garbled", f"the input is not JSON: {error}") from None


def evaluated(instance: Instance, number: int, document: bytes) -> bytes:
    """Evaluate on an instance; a policy that gives up is refused. Raises `Interrupted`."""
    try:
        return instance.evaluate(number, document)
    except Aborted as aborted:
        raise Refused("engine.garbled", f"the policy gave up: {aborted}") from None


def result_of(answer: bytes) -> bytes:
    """Return the JSON of the one result. Raises `Refused` when there is none, or it is not JSON."""
    try:
        answers = _ANSWERS.decode(answer)
    except NOT_JSON as error:
        raise Refused("engine.garbled", f"the policy's answer is not the JSON we expect: {error}") from None
    if len(answers) != 1:
        raise Refused("engine.undefined", f"the policy answered with {len(answers)} results")
    return bytes(answers[0].result)
