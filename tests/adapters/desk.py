"""What a call waits for: Carol at the desk of a real PDP, and a way to the PDP that can be watched and cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from mcp.server.mcpserver import MCPServer

from pdp.adapters.sdk import PdpMiddleware, pass_token, protect
from pdp.dev.loopback import loopback_socket, served
from pdp.dev.seed import SERVER
from tests.adapters.stage import ISSUER, Pdp, Ran, payments

PAGES = "https://pdp.example/console/approvals/"
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Desk:
    """Where people decide, over HTTP and with tokens of their own."""

    pdp: Pdp
    http: httpx2.AsyncClient

    async def open_requests(self) -> list[dict[str, Any]]:
        """Return what Carol finds in her inbox."""
        listed: list[dict[str, Any]] = (await self._said("GET", "")).json()["approvals"]
        return listed

    async def waits(self, amount: int) -> str:
        """Return the id of the one open request for a refund of that amount."""
        (found,) = [one for one in await self.open_requests() if one["shown"]["arguments"].get("amount") == amount]
        identifier: str = found["status"]["id"]
        return identifier

    async def vote(self, identifier: str, vote: str = "approve", reason: str = "ok") -> None:
        """Let Carol decide about a request as it is shown to her."""
        shown = (await self._said("GET", f"/{identifier}")).json()
        body = {"vote": vote, "reason": reason, "presented_digest": shown["presented_digest"]}
        await self._said("POST", f"/{identifier}/votes", body)

    async def withdraw(self, identifier: str) -> None:
        """Let Alice, who asked, take a request back."""
        await self._said("POST", f"/{identifier}/cancel", {"reason": "not needed"}, who="alice-approves")

    async def clear(self) -> None:
        """Leave no question open: one caller may have only so many."""
        for request in await self.open_requests():
            await self.withdraw(request["status"]["id"])

    async def _said(self, method: str, path: str, body: Any = None, who: str = "carol-approves") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.pdp.tokens[who]}"}
        response = await self.http.request(method, f"{self.pdp.url}/v1/approvals{path}", json=body, headers=headers)
        assert response.status_code == 200, response.text
        return response


@asynccontextmanager
async def desk_of(pdp: Pdp) -> AsyncIterator[Desk]:
    """Yield the desk of a PDP; whatever still waits there at the end is withdrawn."""
    async with httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False) as http:
        desk = Desk(pdp, http)
        yield desk
        await desk.clear()


@dataclass
class Way:
    """The same service at another address. It notes the paths that are asked for; `pages`: it has a console."""

    pages: bool = False
    asked: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def sees(self, path: str, times: int = 1) -> None:
        """Return once something under `path` was asked for that many times."""
        async with asyncio.timeout(PATIENCE_S):
            while sum(one.startswith(path) for one in self.asked) < times:
                self._news.clear()
                await self._news.wait()

    def watched(self, app: Any) -> Any:
        """Return an application that notes what it is asked, and answers as `app` does."""

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            self.asked.append(scope.get("path", ""))
            self._news.set()
            adds = self.pages and scope.get("path") == "/v1/decisions"
            await app(scope, receive, _with_page(send) if adds else send)

        return noting


def _with_page(send: Any) -> Any:
    """Add the address of its page to the ticket of an answer, as a PDP with a console does."""
    started: list[Any] = []

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
            return
        told = json.loads(message["body"])
        if "approval" in told:
            told["approval"]["url"] = PAGES + told["approval"]["id"]
        body = json.dumps(told).encode()
        kept = [pair for pair in started[0]["headers"] if pair[0].lower() != b"content-length"]
        await send({**started[0], "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await send({**message, "body": body})

    return sending


@asynccontextmanager
async def reached(pdp: Pdp, way: Way) -> AsyncIterator[Pdp]:
    """Serve a running PDP at one more address, and stop that on exit."""
    assert pdp.service
    with loopback_socket() as bound:
        async with served(way.watched(pdp.service.app), bound) as url:
            yield replace(pdp, url=url)


@asynccontextmanager
async def over_http(pdp: Pdp, ran: Ran, server: MCPServer[Any] | None = None, **options: Any) -> AsyncIterator[str]:
    """Serve the sample server over streamable HTTP, protected; yields its URL."""
    sample = server or with_bearers(ran)
    guard(sample, pdp, **options)
    with loopback_socket() as bound:
        async with served(sample.streamable_http_app(), bound) as url:
            yield f"{url}/mcp"


def with_bearers(ran: Ran) -> MCPServer[Any]:
    """Return the sample server, unprotected, whose callers come with tokens."""
    return payments(ran, **pass_token(issuer=ISSUER, resource="http://127.0.0.1/mcp"))


def guard(server: MCPServer[Any], pdp: Pdp, **options: Any) -> PdpMiddleware:
    """Protect a server in the patience of a busy test machine."""
    return protect(server, pdp=pdp.url, key=pdp.key, server_id=SERVER, deadline_s=5.0, **options)
