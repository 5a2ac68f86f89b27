"""A whole PDP with its console and the sample issuer, on real sockets: what a browser walks through."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pdp.app import Service, open_service
from pdp.dev.issuer import DevIssuer, issuer_app, open_issuer
from pdp.dev.loopback import loopback_socket, served, url_of
from pdp.dev.run import dev_console, dev_issuer, sample_definitions, seed
from pdp.dev.seed import AUDIENCE, DESK_AUDIENCE, DIRECT_CLIENT
from pdp.dev.signin import signin_routes
from pdp.query import definition_digest
from pdp.settings import Settings
from pdp.times import system_clock
from tests.conftest import FakeClock
from tests.service import PATIENT, calm

REFUND = {"order": "o-2", "amount": 7500}
BOT = "client-helpdesk"


@dataclass(frozen=True)
class Stage:
    """A running PDP at `url`, its issuer, and a clock that stands until a test moves it."""

    url: str
    service: Service
    issuer: DevIssuer
    settings: Settings
    key: str
    clock: FakeClock

    def token(self, subject: str = "u-carol", audience: str = DESK_AUDIENCE, **more: Any) -> str:
        """Return an access token of a sample person for the desk, unless told otherwise."""
        given = {"client": DIRECT_CLIENT, "now": self.clock(), **more}
        return self.issuer.mint(subject, audience=audience, **given)

    async def ask(self, tool: str = "create_refund", arguments: Any = None, **context: Any) -> dict[str, Any]:
        """Ask, as the helpdesk agent for Alice (a deletion: as Alice herself), and return the answer."""
        known = next(one for one in await sample_definitions() if one["name"] == tool)
        acts = {} if tool == "delete_customer" else {"client": BOT, "actor": BOT}
        body = {
            "caller": {"access_token": self.token("u-alice", AUDIENCE, **acts)},
            "tool": {"server": "payments", "name": tool, "definition_digest": definition_digest(known)},
            "arguments": REFUND if arguments is None else arguments,
            "context": context,
        }
        async with httpx.AsyncClient(base_url=self.url) as client:
            told = await client.post("/v1/decisions", json=body, headers={"Authorization": f"Bearer {self.key}"})
        assert told.status_code == 200, told.text
        answer: dict[str, Any] = told.json()
        return answer

    async def asked(self, tool: str = "create_refund", arguments: Any = None, **context: Any) -> str:
        """Ask for what needs approval; returns the request."""
        answer = await self.ask(tool, arguments, **context)
        assert answer["decision"] == "needs_approval", answer
        identifier: str = answer["approval"]["id"]
        return identifier

    async def vote(self, identifier: str, subject: str = "u-carol", **changes: Any) -> httpx.Response:
        """Vote over the API, as somebody who has another page open."""
        headers = {"Authorization": f"Bearer {self.token(subject)}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers) as client:
            shown = (await client.get(f"/v1/approvals/{identifier}")).json()
            body = {"vote": "approve", "presented_digest": shown["presented_digest"], "reason": "ok", **changes}
            return await client.post(f"/v1/approvals/{identifier}/votes", json=body)

    async def later(self, seconds: float) -> None:
        """Let time pass, during which everything that follows the store has followed it."""
        self.clock.advance(seconds)
        for follower in (self.service.world.people, self.service.world.tools, self.service.peps):
            await follower.poll()


@asynccontextmanager
async def console_running(
    folder: Path, signs: Callable[[DevIssuer], DevIssuer] = lambda issuer: issuer, **changes: Any
) -> AsyncIterator[Stage]:
    """Run all of it in `folder`, with settings changed as given. `signs`: what the issuer is, if another."""
    clock = FakeClock(system_clock())
    async with AsyncExitStack() as stack:
        doors = [stack.enter_context(loopback_socket()) for _ in range(2)]
        there, here = map(url_of, doors)
        issuer = signs(open_issuer(folder / "issuer", there))
        await stack.enter_async_context(served(issuer_app(issuer, signin_routes(issuer, clock)), doors[0]))
        given: dict[str, Any] = {"org_dir": calm(folder / "org"), **PATIENT, **dev_console(there, here), **changes}
        settings = Settings(data_dir=folder / "data", issuers=(dev_issuer(there),), **given)
        await seed(settings, issuer)
        service = await stack.enter_async_context(open_service(settings, clock))
        stack.callback(service.hush)
        await stack.enter_async_context(served(service.app, doors[1]))
        yield Stage(here, service, issuer, settings, (folder / "data" / "pep.key").read_text(), clock)


async def sign_in(
    stage: Stage, client: httpx.AsyncClient, subject: str = "u-carol", to: str = "/console"
) -> httpx.Response:
    """Sign in as a browser does, step by step, and return the page it leads to."""
    begun = await client.get("/console/login/start", params={"to": to})
    assert begun.status_code == 303, begun.text
    chosen = await client.post(begun.headers["location"], data={"subject": subject})
    assert chosen.status_code == 303, chosen.text
    return await client.get(chosen.headers["location"], follow_redirects=True)
