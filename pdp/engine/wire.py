"""One kept-alive HTTP/1.1 connection to OPA: bytes out, one whole answer in (RFC 9112).

The parser is llhttp through `httptools`. A connection carries one exchange at a time. Whatever a well-behaved server
would not send (garbage, half an answer, a second answer, bytes nobody asked for) closes it, because on a connection
that is out of step the next caller would read the answer meant for another.
"""

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from ..errors import Refused

MAX_ANSWER = 1024 * 1024  # a verdict is a few kilobytes; a larger answer is not one, and must not fill our memory
OK = 200
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # anything below a space but the tab


class Response(NamedTuple):
    """A complete HTTP answer: `status` as a number, `body` without its framing."""

    status: int
    body: bytes


class Lost(Exception):
    """The server closed the connection before the first byte of an answer: this request was not answered."""


class Connection(asyncio.Protocol):
    """One connection. `reusable`: it may carry another exchange; at its end `gone` is done and `on_gone` called."""

    def __init__(self, on_gone: "Callable[[Connection], None]") -> None:
        loop = asyncio.get_running_loop()
        self.reusable = False
        self.gone: asyncio.Future[None] = loop.create_future()
        self._new_answer = loop.create_future
        self._on_gone = on_gone
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Response] | None = None
        self._complete: Response | None = None
        self._body: list[bytes] = []
        self._received = 0
        self._begun = 0

    async def exchange(self, request: bytes) -> Response:
        """Send a whole request and return the whole answer.

        Raises `Lost` when the server closed first, `Refused` with `engine.garbled` when what came is no answer.
        """
        self.reusable = False
        if self.gone.done():
            raise Lost
        self._answer, self._complete = self._new_answer(), None
        self._body, self._received, self._begun = [], 0, 0
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        """Close at once; OPA stops evaluating for a client that went away."""
        self.reusable = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on (called by the event loop); the exchange ends when exactly one whole answer is in."""
        if self._answer is None or self._answer.done():
            self.abort()
            return
        self._received += len(data)
        if self._received > MAX_ANSWER:
            self._garbled(f"an answer of more than {MAX_ANSWER} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._garbled(f"not an HTTP answer: {error}")
            return
        if self._begun > 1:
            self._garbled("more than one answer to one request")
        elif self._complete:
            self._answer.set_result(self._complete)

    def on_message_begin(self) -> None:
        """Count answers (called by the parser)."""
        self._begun += 1

    def on_status(self, reason: bytes) -> None:
        """Look at the words behind the status, which the parser takes as they are (called by it): RFC 9112, 4."""
        if CONTROL.search(reason):
            raise ValueError("control characters in the status line")

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body (called by the parser)."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the answer together (called by the parser). After anything but a 200 the connection is not used again."""
        status = self._parser.get_status_code()
        self.reusable = status == OK and self._parser.should_keep_alive()
        self._complete = Response(status, b"".join(self._body))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the loop's signature
        """Tell whoever waits (called by the event loop)."""
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            half = Refused("engine.garbled", "the connection was closed half-way through an answer")
            self._answer.set_exception(half if self._received else Lost())
        self.gone.set_result(None)
        self._on_gone(self)

    def _garbled(self, note: str) -> None:
        if self._answer is not None:
            self._answer.set_exception(Refused("engine.garbled", note))
        self.abort()
