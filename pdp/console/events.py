"""Tell pages that something changed (server-sent events, HTML Living Standard, section 9.2). They fetch what."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..errors import Rejected
from ..store import approvals as stored
from ..store.sql import StoreUnavailable, reading
from .site import ROOT
from .visit import Console

MAX_STREAMS = 64  # open pages one process keeps up to date; further ones are refreshed by hand
BEAT_S = 15.0  # proxies commonly cut a line that is silent for 30 to 60 s
SHARED_S = 0.5  # one look at the store serves every stream that wants one so soon after
LIVES_S = 600.0  # then the browser asks anew, and the session is looked at again
Pulse = tuple[int | str | None, ...] | None
FULL = Rejected(503, "console.streams", "Too many pages are open: refresh this one by hand.")


class Streams:
    """The open streams of this process, bounded."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open = 0
        self._looking = asyncio.Lock()
        self._looked_at = -SHARED_S
        self._seen: Pulse = None

    def route(self) -> Route:
        """Return the route that pages listen to."""
        return Route(f"{ROOT}/events", self._listen, methods=["GET"])

    async def _listen(self, request: Request) -> Response:
        await self._console.visitor(request)
        if self._open >= MAX_STREAMS:
            raise FULL.fresh()
        headers = {"X-Accel-Buffering": "no"}  # nginx would keep events until it has a page full
        return _Counted(self._events(), self._place, headers)

    @contextmanager
    def _place(self) -> Iterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def _events(self) -> AsyncIterator[str]:
        yield "retry: 3000\n\n"
        async for event in self._changes():
            yield event

    async def _changes(self) -> AsyncIterator[str]:
        """Yield an event whenever the pulse of requests differs, and a comment when it has been quiet for long."""
        loop, bulletin = asyncio.get_running_loop(), self._console.voting.bulletin
        began = spoke = loop.time()
        seen = await self._pulse()
        while not bulletin.hushed and loop.time() - began < LIVES_S:
            await bulletin.wait(BEAT_S)
            now = await self._pulse()
            if now != seen:
                seen, spoke = now, loop.time()
                yield "event: changed\ndata: -\n\n"
            elif loop.time() - spoke >= BEAT_S:
                spoke = loop.time()
                yield ": still here\n\n"

    async def _pulse(self) -> Pulse:
        async with self._looking:
            if (now := asyncio.get_running_loop().time()) - self._looked_at >= SHARED_S:
                self._seen, self._looked_at = await self._look(), now
            return self._seen

    async def _look(self) -> Pulse:
        try:
            async with reading(self._console.voting.world.store) as connection:
                return await stored.read_pulse(connection)
        except StoreUnavailable:
            return None  # it will differ when the store is back


class _Counted(StreamingResponse):
    """A stream that has its place from the moment it is answered, not from its first event.

    Nothing waits between the look for a free place and this, so those who ask at the same moment are counted too.
    """

    def __init__(
        self, events: AsyncIterator[str], place: Callable[[], AbstractContextManager[None]], headers: dict[str, str]
    ) -> None:
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._place():
            await super().__call__(scope, receive, send)
