"""The load generator of every HTTP row: kept-alive connections, one request at a time on each, no client library.

It costs about 30 us a request, which matters on two cores that it shares with what it measures.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import cast

import httptools

from .answers import READERS
from .job import Target, work
from .tally import Measured, Tally

OK = 200


class Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, checks it, and asks again until the tally says stop."""

    def __init__(self, target: Target, requests: Iterator[bytes], tally: Tally) -> None:
        self._allowed = READERS[target.speaks]
        self._requests = requests
        self._tally = tally
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._began = 0.0
        self._transport: asyncio.Transport
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read on (called by the event loop)."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body (called by the parser)."""
        self._body += body

    def on_message_complete(self) -> None:
        """Check the answer and go on (called by the parser)."""
        status, body = self._parser.get_status_code(), self._body
        self._body = b""
        if status != OK or not self._allowed(body):
            self._tally.fail(f"{status} {body[:500]!r}")
        if self._tally.note(self._began):
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the loop's signature
        """Tell whoever waits (called by the event loop)."""
        if not self._transport.is_closing():
            self._tally.fail("the connection was closed by the server")
        self.ended.set_result(None)

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


async def run(target: Target, connections: int, seconds: float) -> Measured:
    """Ask over so many connections at once. Raises `WrongAnswer` and `OSError`."""
    loop = asyncio.get_running_loop()
    requests = itertools.cycle(target.requests)
    tally = Tally(seconds)
    opened = []
    for _ in range(connections):
        connection = Connection(target, requests, tally)
        if target.socket:
            await loop.create_unix_connection(lambda made=connection: made, target.socket)  # type: ignore[misc]
        else:
            await loop.create_connection(lambda made=connection: made, "127.0.0.1", target.port)  # type: ignore[misc]
        opened.append(connection)
    await tally.unless_failed(asyncio.gather(*(connection.ended for connection in opened)))
    return tally.measured()


if __name__ == "__main__":
    work(run)
