"""What is measured, set up for real: a data directory with people, tools and a key; `pdp serve`; an OPA beside it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from pdp.audit.log import Log
from pdp.audit.office import Office
from pdp.audit.read import Reader
from pdp.engine.binary import OPA, Found, find, places
from pdp.engine.local import LocalOpa
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.identity.peps import new_key
from pdp.policy.pack import Pack, build_pack, default_pack_dir
from pdp.query import ToolRef
from pdp.registry.review import approve, submit
from pdp.store.keys import add_key
from pdp.store.sql import Store, open_store, transaction
from pdp.times import rfc3339, system_clock
from tests.idp import ISSUER, Idp, make_signer

from . import people

STARTS_WITHIN = 30.0  # seconds for `pdp serve`
WIDE = "2"  # seconds for the deadlines: a stall of the machine shows in p99 and must not end the run as a deny
NO_RATE = "1000000000"  # decisions a second a key: no limit, that is

SETTINGS = {
    "PDP_RATE_PER_SECOND": NO_RATE,
    "PDP_DECIDE_WITHIN_S": WIDE,
    "PDP_RECORD_WITHIN_S": WIDE,
    "PDP_LOG_LEVEL": "error",
}
KEPT_VARIABLES = {"PDP_OPA_BINARY", "PDP_CACHE_DIR"}


@dataclass(frozen=True)
class Home:
    """A data directory that is ready to be served, and the requests to its service."""

    data_dir: Path
    key: str
    idp: Idp

    def requests(self, bodies: list[bytes], path: str = "/v1/decisions") -> list[bytes]:
        """Return whole HTTP requests, for decisions unless another path is named."""
        return posts(path, bodies, {"Host": "pdp", "Authorization": f"Bearer {self.key}"})


def posts(path: str, bodies: list[bytes], headers: dict[str, str]) -> list[bytes]:
    """Return whole HTTP requests that post JSON."""
    named = headers | {"Content-Type": "application/json"}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return [b"%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body) for body in bodies]


async def furnish(data_dir: Path) -> Home:
    """Bring people, tools and a key into a fresh data directory."""
    now = system_clock()
    idp = new_issuer(data_dir, now)
    store = await open_store(f"sqlite+aiosqlite:///{data_dir / 'pdp.db'}")
    try:
        await import_identity(store, read_feed(json.dumps(people.FEED).encode()), now)
        await register(store, data_dir)
        return Home(data_dir, await _key(store), idp)
    finally:
        await store.dispose()


def new_issuer(data_dir: Path, now: datetime) -> Idp:
    """Make the data directory and an issuer whose key set is in it."""
    data_dir.mkdir(mode=0o700)
    idp = Idp(moment=now, signers={"ES256": make_signer("ES256")})
    (data_dir / "jwks.json").write_text(json.dumps(idp.jwks()))
    return idp


async def register(store: Store, data_dir: Path) -> None:
    """Bring in the two tools and approve them."""
    log = Log(data_dir / "log" / "bench", system_clock)
    office = Office(store, log, system_clock)
    try:
        for taken in await submit(office, people.SERVER, [people.READ, people.WRITE], "bench"):
            tool = ToolRef(server=people.SERVER, name=taken.name, definition_digest=taken.digest)
            await approve(office, tool, people.REVIEWS[taken.name], "bench")
    finally:
        await log.close()


async def _key(store: Store) -> str:
    identifier, key, digest = new_key(system_clock())
    expires = rfc3339(system_clock() + timedelta(days=1))
    row = {"id": identifier, "secret_digest": digest, "servers": [people.SERVER, people.CATALOG], "scopes": ["decide"]}
    async with transaction(store) as connection:
        await add_key(connection, {**row, "expires_at": expires, "note": "bench"}, system_clock())
    return key


@asynccontextmanager
async def serving(home: Home, checkout: Path, module: str = "pdp", **more: str) -> AsyncIterator[tuple[int, int]]:
    """Run the `pdp serve` of a checkout (by `module`); yields its process id and its port. Raises `RuntimeError`."""
    issuers = json.dumps([{"issuer": ISSUER, "jwks_file": str(home.data_dir / "jwks.json")}])
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PDP_") or k in KEPT_VARIABLES}
    environ = {**inherited, **SETTINGS, "PDP_DATA_DIR": str(home.data_dir), "PDP_ISSUERS": issuers, **more}
    command = [sys.executable, "-m", module, "serve", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=checkout, env=environ, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), STARTS_WITHIN)).decode()
        if not said.startswith("pdp serves on "):
            raise RuntimeError("`pdp serve` ended before it served; what it said stands above")
        yield process.pid, int(said.strip().rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def raw_opa(folder: Path) -> AsyncIterator[tuple[LocalOpa, Pack, Found]]:
    """Run an OPA as `pdp serve` runs its own: same binary, same pack, same flags and environment.

    The bundle also holds the compiled rules, which OPA passes over.
    """
    found = find(OPA, places(OPA, os.environ))
    pack = await asyncio.to_thread(build_pack, found.path, default_pack_dir(), None, folder / "policy", wasm=True)
    engine = await LocalOpa.start(found.path, pack.bundle, pack.revision, folder / "run")
    try:
        yield engine, pack, found
    finally:
        await engine.close()


class _Body(Struct):
    id: str = ""
    input: Raw = Raw(b"{}")
    masked: list[str] = []


class _Line(Struct):
    kind: str
    body: Raw


def records(data_dir: Path, decisions: list[str]) -> list[bytes]:
    """Return what the PDP wrote into its log about these decisions, byte for byte."""
    lines = (msgspec.json.decode(line, type=_Line) for line in Reader(data_dir / "log" / "0").lines())
    written = (bytes(line.body) for line in lines if line.kind == "decision")
    bodies = {msgspec.json.decode(body, type=_Body).id: body for body in written}
    return [bodies[decision] for decision in decisions]


def policy_inputs(data_dir: Path, decisions: list[str]) -> list[bytes]:
    """Return the very bytes the PDP asked its OPA for these decisions, from its log.

    A record keeps the policy input as it was encoded, when nothing in it had to be masked.
    """
    bodies = [msgspec.json.decode(record, type=_Body) for record in records(data_dir, decisions)]
    masked = [body.id for body in bodies if body.masked]
    if masked:
        raise RuntimeError(f"the policy input of {masked[0]} was masked: the bench must not use sensitive arguments")
    return [bytes(body.input) for body in bodies]
