"""What breaks during a soak, one thing after the other: each is really done, held for a while, and put right again."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdp.audit.log import Log
from pdp.audit.office import Office
from pdp.query import ToolRef
from pdp.registry.review import approve, quarantine
from pdp.store.follow import STALE_AFTER_S
from pdp.store.sql import open_store
from pdp.times import system_clock
from tests.flow.swaps import opas_of
from tests.idp import ISSUER
from tests.service import CALM

from . import cast
from .cast import Call
from .openloop import ASKS_LESS, BETWEEN, OpenLoop
from .oracle import Fact
from .wire import Hung, Lost, Reply, Wire, request

STOPPED_S = (0.3, 2.5)  # an OPA that is silent for longer is replaced, which is another fault
LOCKED_S = (1.0, 7.0)  # facts may be followed five seconds later at most: some of it is longer
HELD_S = (2.0, 5.0)  # somebody stays stopped, a tool quarantined, after that has settled
GONE_S = (0.3, 1.5)
REVOKED_WITHIN_S = 2.0  # published: on every replica, after the order was answered
SWAPPED_WITHIN_S = 60.0  # of a policy: built, checked and started in 2 s on a quiet machine, ten and more on a busy one
ORDERED_WITHIN_S = 30.0  # an order to the identity store that is refused meanwhile is repeated
BACK_WITHIN_S = 30.0  # after a fault, until an allow: published are 3 s, on a quiet machine
CANCELLED, DRIBBLING = 40, 30  # clients at once
DRIBBLES_S = 4.0
BROKEN_RULE = "package guards.broken\n\nholds if {\n"


class NotBack(Exception):
    """What was put right did not work again in time."""


@dataclass
class Ground:
    """The service that things are done to."""

    loop: OpenLoop
    pid: int
    org: Path
    rng: random.Random
    receiver: "Receiver"
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self.loop.port)

    @property
    def data_dir(self) -> Path:
        """Return the data directory of the service."""
        return self.loop.cast.home.data_dir

    async def hold(self, between: tuple[float, float]) -> None:
        """Let something stay as it is for a while."""
        await asyncio.sleep(self.rng.uniform(*between))

    async def ask(self, call: Call) -> str:
        """Return the decision on a call, judged like all others; nothing when there was none."""
        sent = request("POST", "/v1/decisions", self.loop.cast.home.key, self.loop.cast.body(call))
        began = time.monotonic()
        reply = await self.loop.sent(sent)
        if reply is None:
            return ""
        self.loop.judge(call, reply, began, time.monotonic())
        return str(reply.body.get("decision"))

    async def until(self, call: Call, decision: str, within_s: float) -> None:
        """Ask until this is the answer. Raises `NotBack`."""
        end = time.monotonic() + within_s
        while await self.ask(call) != decision:
            if time.monotonic() > end:
                raise NotBack(f"{call} was not answered {decision} within {within_s:g} s")
            await asyncio.sleep(0.05)

    async def order(self, path: str, body: dict[str, str]) -> None:
        """Carry out an order over the API, again while the store is away. Raises `NotBack`."""
        end = time.monotonic() + ORDERED_WITHIN_S
        while True:
            try:
                reply = await self.wire.ask(request("POST", path, self.loop.cast.home.key, body))
            except (Lost, Hung):
                reply = Reply(0, {})
            if reply.status == 200:
                return
            if time.monotonic() > end:
                raise NotBack(f"{path}: {reply}")
            await asyncio.sleep(0.2)


async def opa_stopped(ground: Ground) -> None:
    """OPA stands still."""
    opas = opas_of(ground.pid)
    for opa in opas:
        os.kill(opa, signal.SIGSTOP)
    try:
        await ground.hold(STOPPED_S)
    finally:
        for opa in set(opas) & set(opas_of(ground.pid)):
            os.kill(opa, signal.SIGCONT)


async def opa_killed(ground: Ground) -> None:
    """OPA dies."""
    for opa in opas_of(ground.pid):
        os.kill(opa, signal.SIGKILL)


async def store_locked(ground: Ground) -> None:
    """Another process holds the store's write lock."""
    path = ground.data_dir / "pdp.db"
    connection = sqlite3.connect(path, isolation_level=None, timeout=LOCKED_S[1], check_same_thread=False)
    try:
        await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")  # the service may hold it now
        await ground.hold(LOCKED_S)
        connection.execute("ROLLBACK")
    finally:
        connection.close()


async def policy_swapped(ground: Ground) -> None:
    """The policy's files change: people are asked above another amount."""
    fact = ground.loop.truth.asks_above
    above = ASKS_LESS if fact.latest == cast.ASKS_ABOVE else cast.ASKS_ABOVE
    fact.changes(above, time.monotonic())
    save(ground.org / "config.yaml", f"{CALM}\ngates: {{amount: {{open_up_to: {above}}}}}\n")
    probe = Call(cast.PEOPLE[0], None, "create_refund", {"order": "o-probe", "amount": BETWEEN})
    await ground.until(probe, "needs_approval" if above == ASKS_LESS else "allow", SWAPPED_WITHIN_S)
    fact.settled(time.monotonic())


async def policy_bad(ground: Ground) -> None:
    """A rule that cannot be read is saved; what is in force stays."""
    rule = ground.org / "guards" / "broken.rego"
    rule.parent.mkdir(exist_ok=True)
    save(rule, BROKEN_RULE)
    await ground.hold(HELD_S)
    rule.unlink()


def save(path: Path, words: str) -> None:
    """Write a file as editors do: elsewhere, then moved."""
    written = path.with_name(f".{path.name}.new")
    written.write_text(words)
    written.replace(path)


async def somebody_stopped(ground: Ground) -> None:
    """A person, a session or an agent is revoked and reinstated."""
    person = ground.rng.choice(cast.PEOPLE)
    names = [("person", person), ("session", f"s-{person}"), ("agent", cast.STOPPABLE)]
    kind, identifier = ground.rng.choice(names)
    order = {"reason": "soak", **({"issuer": ISSUER} if kind == "session" else {})}
    fact = ground.loop.truth.stopped.setdefault((kind, identifier), Fact(False))
    for step, stopped in (("revoke", True), ("reinstate", False)):
        fact.changes(stopped, time.monotonic())
        await ground.order(f"/v1/identity/{kind}/{identifier}/{step}", order)
        fact.settled(time.monotonic() + REVOKED_WITHIN_S)
        await asyncio.sleep(REVOKED_WITHIN_S)
        await ground.hold(HELD_S)


async def tool_quarantined(ground: Ground) -> None:
    """A tool is quarantined and approved again, by an operator's command beside the service."""
    tool = ToolRef(server=cast.SERVER, name="get_report")
    fact = ground.loop.truth.quarantined.setdefault(tool.name, Fact(False))
    async with office_of(ground) as office:
        fact.changes(True, time.monotonic())
        digest = (await quarantine(office, tool, "soak", "soak")).digest
        fact.settled(time.monotonic() + STALE_AFTER_S)
        await asyncio.sleep(STALE_AFTER_S)
        await ground.hold(HELD_S)
        fact.changes(False, time.monotonic())
        again = ToolRef(server=cast.SERVER, name=tool.name, definition_digest=digest)
        await approve(office, again, cast.TOOLS[tool.name][1], "soak")
        fact.settled(time.monotonic() + STALE_AFTER_S)
        await asyncio.sleep(STALE_AFTER_S)


@asynccontextmanager
async def office_of(ground: Ground) -> AsyncIterator[Office]:
    """Open the store of the service beside it, as commands do, with a log of its own."""
    store = await open_store(f"sqlite+aiosqlite:///{ground.data_dir / 'pdp.db'}")
    log = Log(ground.data_dir / "log" / "operator", system_clock)
    try:
        yield Office(store, log, system_clock)
    finally:
        await log.close()
        await store.dispose()


async def log_gone(ground: Ground) -> None:
    """The log's directory is moved away, and a file stands in its place."""
    shard, aside = ground.data_dir / "log" / "0", ground.data_dir / "aside"
    shard.rename(aside)
    shard.write_text("a file where the log should be")
    try:
        await ground.hold(GONE_S)
    finally:
        shard.unlink()
        aside.rename(shard)


async def clients_cancelled(ground: Ground) -> None:
    """Clients ask and go away at once."""
    call = Call(cast.PEOPLE[1], cast.STEADY, "create_refund", {"order": "o-gone", "amount": 10})
    sent = request("POST", "/v1/decisions", ground.loop.cast.home.key, ground.loop.cast.body(call))

    async def ask_and_go() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", ground.loop.port)
        try:
            writer.write(sent)
            await asyncio.sleep(ground.rng.uniform(0, 0.02))
        finally:
            writer.transport.abort()

    await asyncio.gather(*(ask_and_go() for _ in range(CANCELLED)))


async def slow_loris(ground: Ground) -> None:
    """Clients send the beginning of a request, byte by byte, and never its end."""
    sent = request("POST", "/v1/decisions", ground.loop.cast.home.key, {"caller": {"access_token": "x" * 100}})

    async def dribble() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", ground.loop.port)
        try:
            writer.write(sent[: ground.rng.randrange(10, len(sent) - 60)])
            end = time.monotonic() + DRIBBLES_S
            while time.monotonic() < end and not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.2)
        finally:
            writer.transport.abort()

    await asyncio.gather(*(dribble() for _ in range(DRIBBLING)))


async def webhooks_refused(ground: Ground) -> None:
    """Whoever is told of approvals answers 500, or nothing at all."""
    ground.receiver.mode = ground.rng.choice(["refusing", "silent"])
    await ground.hold(HELD_S)
    ground.receiver.mode = "taking"


@dataclass
class Receiver:
    """Takes webhooks, refuses them, or leaves them without an answer."""

    mode: str = "taking"
    taken: int = 0
    _serving: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def close(self) -> None:
        """Hang up on whoever still waits for an answer."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        if serving := asyncio.current_task():
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0))
            if self.mode == "silent":
                await asyncio.sleep(DRIBBLES_S)
            else:
                self.taken += self.mode == "taking"
                status = b"204 No Content" if self.mode == "taking" else b"500 Internal Server Error"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


Break = Callable[[Ground], Awaitable[None]]
REPLACING: list[Break] = [opa_killed, policy_swapped]  # each makes a new OPA: only while memory is not judged yet
OTHERS: list[Break] = [
    opa_stopped,
    store_locked,
    policy_bad,
    somebody_stopped,
    tool_quarantined,
    log_gone,
    clients_cancelled,
    slow_loris,
    webhooks_refused,
]


def json_of(receiver_port: int, secret_file: Path) -> str:
    """Return PDP_WEBHOOKS for a receiver on loopback."""
    return json.dumps([{"url": f"http://127.0.0.1:{receiver_port}/hook", "secret_file": str(secret_file)}])
