"""A protected MCP server and a PDP to ask: the real one on loopback, or a scripted one for faults only."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, TextContent

from pdp.adapters.replies import DECISION
from pdp.adapters.sdk import AnyServer, PdpMiddleware, protect
from pdp.app import Service, open_service
from pdp.audit.entry import Entry
from pdp.audit.office import Office
from pdp.audit.read import find_entries
from pdp.dev.issuer import DevIssuer, open_issuer
from pdp.dev.loopback import loopback_socket, served
from pdp.dev.seed import AUDIENCE, BEARERS, DIRECT_CLIENT, REVIEW, SERVER, VOTERS, Bearer, people_of, tokens
from pdp.dev.server import add_tools
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.query import ToolRef, definition_digest
from pdp.registry.labels import Review
from pdp.registry.review import approve, submit
from pdp.registry.reviews import read_reviews
from pdp.settings import IssuerSettings, Settings
from pdp.store.sql import open_store
from tests.conftest import FakeClock
from tests.service import add_pep, calm

ISSUER = "https://idp.example"
PAGED = {"auto": "paged-auto", "legacy": "paged-legacy"}
PAT: dict[str, Any] = {  # a second feed: somebody who may use servers that only tests have
    "source": "test",
    "people": [
        {
            "id": "pat",
            "aliases": [{"issuer": ISSUER, "subject": "u-pat"}],
            "entitlements": [{"permission": "call", "tool": "paged-*/*"}],
        }
    ],
    "servers": [{"id": name, "audiences": {ISSUER: [AUDIENCE]}} for name in PAGED.values()],
}
MODES = ["auto", "legacy"]  # 2026-07-28 and 2025-11-25
Ran = list[str]


@dataclass(frozen=True)
class Pdp:
    """A PDP that adapters can reach: its URL, a key, and tokens of the sample callers by name."""

    url: str
    key: str
    tokens: dict[str, str] = field(default_factory=dict)
    data_dir: Path = Path()
    service: Service | None = None
    issuer: DevIssuer | None = None
    clock: FakeClock = field(default_factory=FakeClock)

    def recorded(self, result: CallToolResult) -> list[Entry]:
        """Return what the log holds about the decision that a result names: itself, then its outcomes."""
        return find_entries(self.data_dir, (result.meta or {})[DECISION]["id"])

    async def take_in(self, definitions: list[dict[str, Any]], reviews: dict[str, Review], server: str) -> None:
        """Register definitions and approve those that have a review."""
        assert self.service
        store = await open_store(Settings(data_dir=self.data_dir).store_url)
        office = Office(store, self.service.world.log, self.clock)
        await submit(office, server, definitions, "test")
        for definition in definitions:
            if definition["name"] in reviews:
                tool = ToolRef(server, definition["name"], definition_digest=definition_digest(definition))
                await approve(office, tool, reviews[definition["name"]], "tester")
        await store.dispose()
        await self.service.world.tools.poll()


@asynccontextmanager
async def real_pdp(folder: Path) -> AsyncIterator[Pdp]:
    """Run a PDP on loopback with the sample people; the sample tools are registered and approved."""
    clock = FakeClock()
    issuer = open_issuer(folder / "issuer", ISSUER)
    (folder / "jwks.json").write_text(json.dumps(issuer.key_set()))
    settings = Settings(
        data_dir=folder / "pdp",
        org_dir=calm(folder / "org"),
        issuers=(IssuerSettings(issuer=ISSUER, jwks_file=folder / "jwks.json", direct_clients=(DIRECT_CLIENT,)),),
        decide_within_s=10.0,  # a busy test machine is not what these tests are about
        record_within_s=10.0,
    )
    settings.data_dir.mkdir()
    store = await open_store(settings.store_url)
    await import_identity(store, read_feed(people_of(ISSUER).encode()), clock())
    await import_identity(store, read_feed(json.dumps(PAT).encode()), clock())
    await store.dispose()
    key = await add_pep(settings, clock, servers=("*",), scopes=["audit", "decide"])
    async with open_service(settings, clock) as service:
        with loopback_socket() as bound:
            async with served(service.app, bound) as url:
                callers = tokens(issuer, clock(), (*BEARERS, *VOTERS, Bearer("pat", "Pat", "u-pat")))
                pdp = Pdp(url, key, callers, settings.data_dir, service, issuer, clock)
                await pdp.take_in(await definitions_of(payments([])), read_reviews(REVIEW).tools, SERVER)
                yield pdp


@asynccontextmanager
async def scripted_pdp(
    answer: Callable[[asyncio.StreamWriter], Any], asked: list[bytes] | None = None
) -> AsyncIterator[Pdp]:
    """Run what is no PDP: reads a request to its end (its body goes to `asked`) and lets `answer` write what it likes.

    For faults only, and for allows that no PDP would give.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.split(b":")[1]))
            if asked is not None:
                asked.append(body)
            await answer(writer)
        except asyncio.IncompleteReadError:  # who connected asks nothing more
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield Pdp(f"http://{host}:{port}", "pdp_test_key", {"alice": "no.real.token"})
    finally:
        server.close()


def payments(ran: Ran, **auth: Any) -> MCPServer[Any]:
    """Return the sample server, unprotected; its tools put their names into `ran`."""
    server: MCPServer[Any] = MCPServer("payments", **auth)
    add_tools(server, ran.append)
    return server


async def definitions_of(server: MCPServer[Any]) -> list[dict[str, Any]]:
    """Return what a server lists, as it goes over the wire."""
    return [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in await server.list_tools()]


def protected(
    server: AnyServer, pdp: Pdp, folder: Path, who: str = "alice", server_id: str = SERVER, **options: Any
) -> PdpMiddleware:
    """Protect a server that is reached in memory or over stdio, called by one of the sample callers."""
    file = folder / f"{who}.token"
    file.write_text(pdp.tokens[who])
    settings: dict[str, Any] = {"deadline_s": 30.0, **options}
    return protect(server, pdp=pdp.url, key=pdp.key, server_id=server_id, token_file=file, **settings)


def text_of(result: CallToolResult) -> str:
    """Return the text that a model reads."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
