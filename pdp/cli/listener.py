"""Listener: uvicorn, with bounds on what a stranger can make us hold: bytes, headers, requests, time, connections.

httptools puts no bound on a head, and uvicorn none on how long a request takes to arrive or an answer to be taken, nor
on requests that come before their answers. A timer for each would cost more than the check is worth, so one task looks
at all connections once a second.
"""

import asyncio
import contextlib
import heapq
import json
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..errors import Fault
from ..recurring import Recurring
from .acceptor import Acceptor, bound_sockets

MAX_HEAD_BYTES = 32 * 1024  # request line and headers; a key, a traceparent and a proxy's additions need 2
MAX_HEADERS = 100  # a client and the proxies before us add 30 at most; each costs memory whatever its length
PIECE = 8 * 1024  # bytes that the parser gets at a time: what a head may have is looked at after each
MAX_AHEAD = 32  # requests on one connection ahead of their answers: each costs us kilobytes, and a stranger 20 bytes
ARRIVES_WITHIN_S = 10.0  # from the first byte (or the connection) to the last of the body; 256 KiB need far less
TAKEN_WITHIN_S = 30.0  # an answer, by the client; a policy bundle of some megabytes needs a few on a slow line
IDLE_S = 5.0  # a connection is kept so long for its next request, as uvicorn has it; adapters give theirs up earlier
LOOK_EVERY_S = 1.0
MAX_CONNECTIONS = 4096  # open at the same time; a hundred adapters with pools of 16 need fewer
FILES_KEPT = 256  # for the log, the store and the engine, whatever connects to us
SHAKING = 8  # one place in so many is kept for TLS handshakes
MAX_SHAKING = 512  # of those at most: each holds up to 300 KB (uvloop reads into 256 KiB), and anybody can begin one
MADE_ROOM = 16  # one part in so many is closed when the house is full, so that not every arrival looks at all


def _problem(status: str, code: str, title: str) -> bytes:
    """Return a whole answer for a request that cannot be read, as contracts (section 1) has it, and the last one."""
    members = {"type": f"urn:mcp-pdp:problem:{code}", "title": title, "status": int(status[:3]), "code": code}
    body = json.dumps(members, separators=(",", ":"))
    kind = "Content-Type: application/problem+json\r\nCache-Control: no-store\r\nConnection: close"
    return f"HTTP/1.1 {status}\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


TOO_LARGE = _problem(
    "431 Request Header Fields Too Large", "http.head_too_large", "The head of the request is too large."
)
TOO_SLOW = _problem("408 Request Timeout", "http.late", "The request did not arrive in time.")
MALFORMED = _problem("400 Bad Request", "http.malformed", "This is not an HTTP/1.1 request.")


Context = Callable[[], ssl.SSLContext]
"""Returns the TLS context for a new connection."""


class Unwelcome(ValueError):
    """The parser must not go on with this connection (httptools ends on whatever a callback raises)."""


class Bounded(HttpToolsProtocol):
    """One connection, of `most` at the same time.

    `waiting_since`: when what it is sending now began; None while it sends nothing. `idle_since`: when its last answer
    was given. `unread_since`: since when an answer is not taken off our hands.
    """

    def __init__(self, *args: Any, most: int = MAX_CONNECTIONS, **kwargs: Any) -> None:
        """Take what uvicorn gives its protocols."""
        super().__init__(*args, **kwargs)
        self.waiting_since: float | None = self.loop.time()
        self.idle_since: float | None = None
        self.unread_since: float | None = None
        self._most = most
        self._underway: RequestResponseCycle | None = None  # the request being answered; `cycle` is the last that came
        self._before_head = True  # no head has come, or the message behind the last one is complete
        self._got_on = False
        self._idle_bytes = 0  # in a row that brought neither the end of a head nor any of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, and let go of those that have kept us waiting longest when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._most:
            _make_room(cast("set[Bounded]", self.connections), self, self._most // MADE_ROOM + 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way that nobody waits for its answer, and forget those that came ahead of it.

        uvicorn tells the last that came; the answer to another would be written to a connection that is no more.
        """
        if self._underway is not None:
            self._underway.disconnected = True
            self._underway.message_event.set()
        super().connection_lost(exc)
        self.pipeline.clear()
        self._underway = self.cycle = None  # type: ignore[assignment]  # else they hold each other

    def data_received(self, data: bytes) -> None:
        """Read on (called by the event loop)."""
        self.idle_since = None
        for start in range(0, len(data), PIECE):
            if not self.transport.is_closing():
                self._read(data[start : start + PIECE])

    def _read(self, piece: bytes) -> None:
        """Read a piece. Every byte starts the clock, also those that the parser skips."""
        if self.waiting_since is None:
            self.waiting_since = self.loop.time()
        self._got_on = False
        super().data_received(piece)
        self._idle_bytes = 0 if self._got_on else self._idle_bytes + len(piece)
        if self._idle_bytes > MAX_HEAD_BYTES:
            self.refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start the clock anew (called by the parser)."""
        super().on_message_begin()
        self.waiting_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (called by the parser); not one behind the body, which nobody may merge (RFC 9110, 6.5.1)."""
        if self._before_head:
            super().on_header(name, value)
            if len(self.headers) > MAX_HEADERS:  # one takes a hundred bytes of ours for four of theirs
                self.refuse(TOO_LARGE)
                raise Unwelcome

    def on_headers_complete(self) -> None:
        """Look at the whole head (called by the parser)."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self.refuse(TOO_LARGE)
            raise Unwelcome
        if not self._reads_one_way():
            self.refuse(MALFORMED)
            raise Unwelcome
        if len(self.pipeline) >= MAX_AHEAD:
            self.transport.close()
            raise Unwelcome
        super().on_headers_complete()
        self._before_head, self._got_on = False, True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body (called by the parser)."""
        super().on_body(body)
        self._got_on = True

    def on_message_complete(self) -> None:
        """Stop the clock (called by the parser)."""
        super().on_message_complete()
        self.waiting_since, self._before_head, self._got_on = None, True, True
        if self.cycle.response_complete:  # answered before its body came
            self.idle_since = self.loop.time()

    def on_response_complete(self) -> None:
        """Begin with the next request, or note since when it is idle (called by uvicorn).

        What uvicorn does here, without the timer it sets for each answer and takes back at the next request.
        """
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
        self.idle_since = self.loop.time() if self.cycle.response_complete else None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's signature
        """Refuse what is no request (called by uvicorn)."""
        self.refuse(MALFORMED)

    def refuse(self, answer: bytes) -> None:
        """Close the connection, with an answer if it can only be taken for that to the request it is meant for."""
        if not self.transport.is_closing():
            if self._is_next():
                self.transport.write(answer)
            self.transport.close()

    def look(self, now: float, arrives_within_s: float, taken_within_s: float, idle_s: float) -> None:
        """Refuse a request that takes too long to arrive; give up a client that takes too long over our answer.

        Close what has waited for its next request for too long.
        """
        if self.waiting_since is not None and self.waiting_since < now - arrives_within_s:
            self.refuse(TOO_SLOW)
        if self.idle_since is not None and self.idle_since < now - idle_s:
            self.transport.close()
        if not self._is_untaken():
            self.unread_since = None
        elif self.unread_since is None:
            self.unread_since = now
        elif self.unread_since < now - taken_within_s:
            self.give_up()

    def give_up(self) -> None:
        """End the connection now, and count it no more: to close it would be to wait until the client has read."""
        self.connections.discard(self)
        self.transport.abort()

    def waits_since(self) -> float | None:
        """Return since when it is the client's turn; None while a request is under way here."""
        if self._is_untaken():
            return self.unread_since or self.waiting_since or self.idle_since or self.loop.time()
        return self.waiting_since or self.idle_since

    def _is_untaken(self) -> bool:
        """Say whether the client has something to take: a part of an answer, or the end of the connection.

        Over TLS what waits for the kernel is in no buffer that we are shown, and once the client has ended its side
        uvloop sets no time for it: so to be closing and not closed counts.
        """
        return self.transport.is_closing() or self.transport.get_write_buffer_size() > 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin to answer a request (called by uvicorn)."""
        self._underway = cycle
        super()._start_asgi_task(cycle, app)

    def _reads_one_way(self) -> bool:
        """Say whether a proxy before us has read the same request: RFC 9112, sections 2.3, 3.2 and 6.1."""
        version = self.parser.get_http_version()
        hosts = codings = 0
        for name, value in self.headers:
            hosts += name == b"host"
            if name == b"transfer-encoding":
                codings += 1 if value.lower() == b"chunked" and version == "1.1" else 2
        return codings <= 1 and (hosts == 1 if version == "1.1" else version == "1.0" and hosts <= 1)

    def _is_next(self) -> bool:
        """Say whether nothing is owed for earlier requests, and nothing was said to this one."""
        if self.cycle is None or self._before_head:
            return self.cycle is None or self.cycle.response_complete
        return not self.pipeline and not self.cycle.response_started

    def _unsupported_upgrade_warning(self) -> None:
        """Answer in HTTP/1.1 and close: what follows the request may be in another protocol (called by uvicorn)."""
        if self.cycle.response_complete:
            self.transport.close()
        self.cycle.keep_alive = False


def _make_room(connections: "set[Bounded]", newcomer: Bounded, count: int) -> None:
    """Give up those that wait longest for their own client: for a request, to be rid of an answer, or for its goodbye.

    The newcomer itself only when all others have a request under way here.
    """
    waits = {c: since for c in connections if c is not newcomer and (since := c.waits_since()) is not None}
    for connection in heapq.nsmallest(count, waits, key=lambda c: waits[c]) or [newcomer]:
        connection.give_up()


def most_connections() -> int:
    """Return how many connections may be open: not so many that no file is left for the log."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, files - FILES_KEPT))


class Server(uvicorn.Server):
    """uvicorn, but a signal only ends `serve`: re-raising it would kill us before OPA and the log are closed.

    `on_stop` is called when it is told to stop, so that requests which are held until there is news end at once. `tls`
    is asked for a context for each connection; so many of them may be `shaking` hands at the same time.
    """

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None], tls: Context | None, shaking: int) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._tls = tls
        self._shaking = shaking

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen (called by `serve`). With TLS by ourselves: uvicorn would let strangers hold any number of handshakes.

        Raises `Fault` when nothing can listen there.
        """
        if self._tls is None:
            await super().startup(sockets)
            return
        known = self.config
        try:
            bound = sockets or await bound_sockets(known.host, known.port)
            acceptor = Acceptor(bound, self._protocol, self._tls, self._shaking, ARRIVES_WITHIN_S)
            acceptor.start(known.backlog)
        except OSError as error:
            raise Fault(f"Nothing can listen at {known.host}:{known.port} ({error.strerror}): see what does.") from None
        self.servers = [cast("asyncio.Server", acceptor)]  # as far as uvicorn asks it
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        known = cast("Any", self.config)
        made: asyncio.Protocol = known.http_protocol_class(
            config=known, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

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
    tls: Context | None = None,
    most: int | None = None,
) -> Server:
    """Return a server of `app`; when told to stop, it calls `on_stop`, and requests in flight get `grace_s` seconds.

    `tls`: says with which context a new connection is met; plain HTTP without. `most`: connections at the same time,
    TLS handshakes among them; by default as many as leave files for everything else.
    """
    places = most or most_connections()
    shaking = max(1, min(MAX_SHAKING, places // SHAKING)) if tls else 0
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=partial(Bounded, most=max(1, places - shaking)),  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # nobody here goes by an address that a caller may write
        ws="none",
        timeout_graceful_shutdown=grace_s,
    )
    return Server(config, on_stop, tls, shaking)


@asynccontextmanager
async def watched(
    server: Server,
    within_s: float = ARRIVES_WITHIN_S,
    every_s: float = LOOK_EVERY_S,
    taken_within_s: float = TAKEN_WITHIN_S,
    idle_s: float = IDLE_S,
) -> AsyncIterator[None]:
    """Close, while the context lasts, every connection that is idle, or a request or its answer on it, for too long."""

    async def look() -> None:
        now = asyncio.get_running_loop().time()
        for connection in [c for c in server.server_state.connections if isinstance(c, Bounded)]:
            connection.look(now, within_s, taken_within_s, idle_s)

    watching = Recurring("looking for connections that take too long", look, every_s)
    watching.start(at_once=False)
    try:
        yield
    finally:
        await watching.close()
