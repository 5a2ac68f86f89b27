"""Listener: uvicorn, with bounds on what a stranger can make us hold: bytes of a request's head, time for all of it.

httptools puts no bound on a head, and uvicorn none on how long a request takes to arrive. A timer for each request
would cost more than the check is worth, so one task looks at all connections once a second.
"""

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import Fault

MAX_HEAD_BYTES = 32 * 1024  # request line and headers; a key, a traceparent and a proxy's additions need 2
ARRIVES_WITHIN_S = 10.0  # from the first byte (or the connection) to the last of the body; 256 KiB need far less
LOOK_EVERY_S = 1.0
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Bounded(HttpToolsProtocol):
    """One connection. `waiting_since`: when what it is sending now began; None while it sends nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*args, **kwargs)
        self.waiting_since: float | None = self.loop.time()
        self._in_head = True
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on (called by the event loop)."""
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start counting (called by the parser)."""
        super().on_message_begin()
        self.waiting_since, self._in_head = self.loop.time(), True

    def on_headers_complete(self) -> None:
        """Stop counting bytes (called by the parser). A head that came in one large piece is a 400, by uvicorn."""
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too large")
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        """Stop counting seconds (called by the parser)."""
        super().on_message_complete()
        self.waiting_since = None

    def refuse(self, answer: bytes) -> None:
        """Close the connection, with an answer unless one has begun."""
        if not self.transport.is_closing():
            if self.cycle is None or not self.cycle.response_started:
                self.transport.write(answer)
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn, but a signal only ends `serve`: re-raising it would kill us before OPA and the log are closed.

    `on_stop` is called when it is told to stop, so that requests which are held until there is news end at once.
    """

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen (called by `serve`). With TLS by ourselves: uvicorn gives a stranger 60 s for the handshake."""
        context = self.config.ssl
        if context is None:
            await super().startup(sockets)
            return
        known, within_s = self.config, ARRIVES_WITHIN_S
        given: dict[str, Any] = {"ssl": context, "ssl_handshake_timeout": within_s, "backlog": known.backlog}
        places: list[dict[str, Any]] = [{"sock": bound} for bound in sockets or []]
        places = places or [{"host": known.host, "port": known.port}]
        loop = asyncio.get_running_loop()
        try:
            self.servers = [await loop.create_server(self._protocol, **place, **given) for place in places]
        except OSError as error:
            raise Fault(f"Nothing can listen at {known.host}:{known.port} ({error.strerror}): see what does.") from None
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        return Bounded(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of what is held, then stop (called by `serve`)."""
        self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as long as we serve."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    @property
    def port(self) -> int:
        """Return the port it listens on, once it has started."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


def server_for(
    app: Any,
    host: str,
    port: int,
    grace_s: int,
    on_stop: Callable[[], None] = lambda: None,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Return a server of `app`; when told to stop, it calls `on_stop`, and requests in flight get `grace_s` seconds."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Bounded,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=grace_s,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
    return Server(config, on_stop)


@asynccontextmanager
async def watched(
    server: Server, within_s: float = ARRIVES_WITHIN_S, every_s: float = LOOK_EVERY_S
) -> AsyncIterator[None]:
    """Close, while the context lasts, every connection on which a request takes too long to arrive."""
    watching = asyncio.create_task(_watch(server, within_s, every_s))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _watch(server: Server, within_s: float, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        oldest = asyncio.get_running_loop().time() - within_s
        for connection in [c for c in server.server_state.connections if isinstance(c, Bounded)]:
            if connection.waiting_since is not None and connection.waiting_since < oldest:
                connection.refuse(TOO_SLOW)
