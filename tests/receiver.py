"""A receiver of webhooks: a real HTTP server on loopback that keeps what comes, answers as told, or does not answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pdp.api.http import Receive, Scope, Send
from pdp.dev.loopback import loopback_socket, served, url_of

WAITED_S = 20.0  # for what should be here at once, on a busy machine
NUDGED_S = 0.5


@dataclass(frozen=True)
class Post:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found


@dataclass
class Receiver:
    """Answers with the statuses of `answers`, then with 204; while `silent`, with nothing at all."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    redirect: str = ""
    silent: bool = False
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    speaks: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        async with self.news:
            self.posts.append(Post(scope["path"], headers, body))
            self.news.notify_all()
        if self.silent:
            await self.speaks.wait()
        status = self.answers.pop(0) if self.answers else 204
        where = [(b"location", self.redirect.encode())] if self.redirect else []
        await send({"type": "http.response.start", "status": status, "headers": where})
        await send({"type": "http.response.body", "body": b""})

    async def until(self, number: int, nudge: Callable[[], None] = lambda: None) -> list[Post]:
        """Return what has come in once there are so many; calls `nudge` now and then, fails after a while."""
        async with asyncio.timeout(WAITED_S):
            while len(self.posts) < number:
                nudge()
                with suppress(TimeoutError):
                    async with asyncio.timeout(NUDGED_S), self.news:
                        await self.news.wait_for(lambda: len(self.posts) >= number)
        return list(self.posts)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver."""
    with loopback_socket(0) as bound:
        receiver = Receiver(f"{url_of(bound)}/hook")
        async with served(receiver, bound):
            try:
                yield receiver
            finally:
                receiver.speaks.set()
