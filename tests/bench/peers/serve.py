"""Runs the peers on loopback, and asks them single questions, so that their answers are checked before any figure."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.idp import Idp, make_signer

from .. import people
from ..answers import READERS
from ..job import Speaks, Target
from ..stage import Home, posts
from ..tally import WrongAnswer
from . import cerbos, eunomia
from .questions import DENIES, Question, allowed

STARTS_WITHIN = 60.0  # seconds
LOOK_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Peer:
    """A decision point that runs: how it is asked and how its answers are read. `pid` is none for our own.

    `forged`: the good question with a token that somebody else signed; empty where no token is verified.
    """

    name: str
    port: int
    path: str
    speaks: Speaks
    body: Callable[[Question], bytes]
    forged: bytes = b""
    pid: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def target(self) -> Target:
        """Return the load for it: every question that must be allowed, in turn."""
        bodies = [self.body(question) for question in allowed()]
        return Target(self.speaks, posts(self.path, bodies, {"Host": "peer", **dict(self.headers)}), port=self.port)

    async def must_judge_rightly(self, client: httpx.AsyncClient) -> None:
        """Ask what must be allowed and each question that must be denied. Raises `WrongAnswer`."""
        for question in (Question(), *DENIES):
            response = await self._ask(client, self.body(question))
            if response.status_code != httpx.codes.OK:
                raise WrongAnswer(f"{self.name}: {response.status_code} {response.text[:500]}")
            if READERS[self.speaks](response.content) != (not question.lacks):
                raise WrongAnswer(f"{self.name}, lacking {question.lacks or 'nothing'}: {response.text[:500]}")
        if self.forged:
            response = await self._ask(client, self.forged)
            if response.status_code == httpx.codes.OK and READERS[self.speaks](response.content):
                raise WrongAnswer(f"{self.name} believes a forged token: {response.text[:500]}")

    async def _ask(self, client: httpx.AsyncClient, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json", **dict(self.headers)}
        return await client.post(f"http://127.0.0.1:{self.port}{self.path}", content=body, headers=headers)


def ours(name: str, home: Home, port: int) -> Peer:
    """Return our own service as one that is asked the same questions."""

    def body(question: Question, issuer: Idp = home.idp) -> bytes:
        held = _token(issuer, question)
        asked = people.query(held, people.WRITE, question.order)
        asked["tool"] |= {"name": question.tool, "definition_digest": question.digest}
        asked["arguments"]["amount"] = question.amount
        return json.dumps(asked).encode()

    key = (("Authorization", f"Bearer {home.key}"),)
    return Peer(name, port, "/v1/decisions", "pdp", body, body(Question(), _forger(home.idp)), headers=key)


@asynccontextmanager
async def cerbos_served(program: Path, name: str, folder: Path, home: Home) -> AsyncIterator[Peer]:
    """Run Cerbos; with a name that ends in `_log`, verifying tokens and writing decisions down."""
    port = _free_port()
    config = cerbos.configure(folder / name, port, _free_port(), home.data_dir / "jwks.json")
    verifies = name.endswith("_log")

    def body(question: Question) -> bytes:
        return cerbos.body(question, _token(home.idp, question) if verifies else None)

    command = [str(program), "server", f"--config={config}", "--log-level=error"]
    async with _running(command, folder / name, {"CERBOS_NO_TELEMETRY": "1"}, port, "/_cerbos/health") as pid:
        forged = cerbos.body(Question(), _token(_forger(home.idp), Question())) if verifies else b""
        yield Peer(name, port, cerbos.PATH, "cerbos", body, forged, pid)


@asynccontextmanager
async def eunomia_served(program: Path, name: str, folder: Path) -> AsyncIterator[Peer]:
    """Run Eunomia and bring in policy and people; with a name that ends in `_bare`, without its registry."""
    port, registered = _free_port(), not name.endswith("_bare")
    (folder / name / ".db").mkdir(parents=True)
    environ = {} if registered else {"FETCHERS": "{}"}
    command = [str(program), "server", "--port", str(port)]
    async with _running(command, folder / name, environ, port, "/health") as pid:
        await _bring_in(port, registered=registered)
        yield Peer(name, port, eunomia.PATH, "eunomia", lambda q: eunomia.body(q, registered=registered), pid=pid)


async def _bring_in(port: int, *, registered: bool) -> None:
    brought = [(eunomia.POLICIES, eunomia.policy())]
    if registered:
        brought += [(eunomia.ENTITIES, entity) for entity in eunomia.entities()]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for path, document in brought:
            response = await client.post(path, json=document)
            if response.status_code != httpx.codes.OK:
                raise WrongAnswer(f"eunomia {path}: {response.status_code} {response.text[:500]}")


@asynccontextmanager
async def _running(
    command: list[str], folder: Path, environ: dict[str, str], port: int, health: str
) -> AsyncIterator[int]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=kept | environ, stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        await _healthy(f"http://127.0.0.1:{port}{health}", process)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _healthy(url: str, process: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + STARTS_WITHIN
    async with httpx.AsyncClient(trust_env=False) as client:
        while loop.time() < end and process.returncode is None:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(LOOK_EVERY)
    raise WrongAnswer(f"{url} did not become healthy")


def _token(idp: Idp, question: Question) -> str:
    return people.token(idp, question.person, question.agent, question.scope)


def _forger(idp: Idp) -> Idp:
    """Return an issuer that calls itself the good one, and its key by the same name, but has another key."""
    return Idp(moment=idp.moment, signers={"ES256": make_signer("ES256")})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
