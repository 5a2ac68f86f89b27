"""Calls under way when the service is told to stop, or when the adapter hangs up: answered or not, but on record.

OPA is a scripted sidecar that says yes when the test lets it: so the test knows what is under way, and for how long.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from pdp.app import load_pack
from pdp.audit.entry import read_entry
from pdp.audit.read import Reader
from pdp.cli.listener import server_for, watched
from pdp.settings import Settings
from pdp.times import system_clock
from tests.contracts.engines import until
from tests.contracts.scripted import Peer, scripted
from tests.flow.test_serve import PATIENCE_S, serving
from tests.flow.test_sidecar import Sidecar
from tests.idp import ISSUER
from tests.service import Bench, calm, running

SOON_S = 20.0
DECIDE_S = 3.0  # less than a service that stops gives what is under way
T = TypeVar("T")


@dataclass
class Holding(Sidecar):
    """Answers when it may; `asked` counts the questions about payments."""

    may: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    asked: int = 0

    async def answer(self, peer: Peer, body: bytes) -> None:
        """Answer one question in its turn."""
        if b'"payments"' in body:
            self.asked += 1
            await self.may.acquire()
        await super().answer(peer, body)


def decided(data_dir: Path) -> list[str]:
    """Return the decisions about payments that are on record."""
    entries = [read_entry(line) for line in Reader(data_dir / "log" / "0").lines()]
    found = [entry.body for entry in entries if entry.kind == "decision"]
    return [body["decision"] for body in found if body["tool"]["server"] == "payments"]


@asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave what blocks, while the event loop goes on."""
    value = await asyncio.to_thread(manager.__enter__)
    try:
        yield value
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@asynccontextmanager
async def served(tmp_path: Path, socket: Path) -> AsyncIterator[tuple[Bench, Any, str]]:
    """Run `pdp serve` beside that OPA, with people, tools and a key."""
    data_dir = tmp_path / "data"
    async with running(data_dir, system_clock) as bench:
        pass
    issuer = {"issuer": ISSUER, "jwks_file": str(data_dir / "jwks.json"), "direct_clients": ["web-app"]}
    settings = {
        "PDP_ISSUERS": json.dumps([issuer]),
        "PDP_OPA_URL": f"unix://{socket}",
        "PDP_DECIDE_WITHIN_S": str(DECIDE_S),
        "PDP_RECORD_WITHIN_S": "3",
    }
    async with entered(serving(data_dir, **settings)) as (process, url):
        yield bench, process, url


@pytest.mark.slow
@pytest.mark.promise("fault.stopping")
@pytest.mark.fault("service.stopped")
async def test_a_service_that_is_told_to_stop_answers_what_is_under_way_and_takes_nothing_new(
    tmp_path: Path, socket_folder: Path
) -> None:
    opa = Holding(load_pack(Settings(data_dir=tmp_path / "built")).revision)
    async with (
        scripted(socket_folder / "s", opa.answer),
        served(tmp_path, socket_folder / "s") as (bench, process, url),
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http,
    ):

        def ask() -> asyncio.Task[httpx.Response]:
            headers = {"Authorization": f"Bearer {bench.key}"}
            return asyncio.ensure_future(http.post("/v1/decisions", json=bench.query(), headers=headers))

        calls = [ask(), ask()]
        await until(lambda: opa.asked == len(calls), SOON_S)
        process.send_signal(signal.SIGTERM)
        await refused(url)
        assert process.poll() is None, "it waits for what is under way"
        opa.may.release()  # for one of them; the other is late
        told = [(await call).json() for call in calls]
        assert sorted(answer["decision"] for answer in told) == ["allow", "deny"]
        (late,) = [reason["code"] for answer in told for reason in answer["reasons"]]
        assert late == "engine.timeout"
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        assert sorted(decided(tmp_path / "data")) == ["allow", "deny"]
        opa.may.release()


async def refused(url: str) -> None:
    """Return when nobody listens there any more."""
    host, _, port = url.removeprefix("http://").partition(":")
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            writer.close()
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(pdp: Bench) -> AsyncIterator[int]:
    """Let a service listen, and yield the port."""
    server = server_for(pdp.service.app, "127.0.0.1", 0, grace_s=1)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started, SOON_S)
    async with watched(server):
        yield server.port
    server.should_exit = True
    await task


def has_come_to(count: int, counted: Callable[[], int]) -> bool:
    """Say whether something was counted so often."""
    return counted() == count


def request(pdp: Bench) -> bytes:
    """Return the bytes of a decision request."""
    body = json.dumps(pdp.query()).encode()
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\nAuthorization: Bearer {pdp.key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.promise("fault.client_gone")
@pytest.mark.fault("client.gone")
async def test_adapters_that_hang_up_leave_a_record_and_nothing_else(
    tmp_path: Path, socket_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    org = calm(tmp_path / "org")
    opa = Holding(load_pack(Settings(data_dir=tmp_path / "built", org_dir=org)).revision)
    rest: dict[str, Any] = {"decide_within_s": 6.0, "max_underway": 8, "org_dir": org, "opa_connections": 4}
    async with (
        scripted(socket_folder / "s", opa.answer),
        running(tmp_path / "data", opa_url=f"unix://{socket_folder}/s", **rest) as pdp,
        listening(pdp) as port,
    ):
        before = len(asyncio.all_tasks())
        for count, answers in ((4, 2), (8, 0)):  # an OPA that goes on, and one that does not
            writers = []
            for _ in range(4):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request(pdp))
                await writer.drain()
                writers.append(writer)
            await until(partial(has_come_to, count, lambda: opa.asked), SOON_S)
            for writer in writers:
                writer.transport.abort()
            for _ in range(answers):
                opa.may.release()
            await until(partial(has_come_to, count, lambda: len(decided(tmp_path / "data"))), SOON_S)
        assert sorted(decided(tmp_path / "data")) == ["allow"] * 2 + ["deny"] * 6, "on record, though nobody was told"
        for _ in range(40):
            opa.may.release()
        told = [await pdp.ask() for _ in range(8)]
        assert {answer["decision"] for answer in told} == {"allow"}, "places and connections are free again"
        await until(lambda: len(asyncio.all_tasks()) <= before + 4, SOON_S)  # the sidecar's own: one a connection
        assert not [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}]
