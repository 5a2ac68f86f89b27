"""A client that speaks bytes, for requests no library would send, and a service on a real socket to send them to."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import httptools

from pdp.cli.listener import Context, Server, server_for, watched
from tests.service import Bench

PATIENCE_S = 30.0  # for an answer, on a loaded machine
LAST = b"GET /livez HTTP/1.1\r\nHost: pdp\r\nConnection: close\r\n\r\n"


class Said(NamedTuple):
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Return the code of a problem; empty for another answer."""
        return str(json.loads(self.body).get("code", "")) if "problem" in self.headers.get("content-type", "") else ""


class Reader:
    """Takes answers apart, as many as come one behind the other."""

    def __init__(self) -> None:
        self.answers: list[Said] = []
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Read on. Raises `httptools.HttpParserError` for what is no answer."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Begin an answer (called by the parser)."""
        self._headers, self._body = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (called by the parser)."""
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body (called by the parser)."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Put an answer together (called by the parser)."""
        self.answers.append(Said(self._parser.get_status_code(), self._headers, b"".join(self._body)))


class Exchange(NamedTuple):
    """All that came back on a connection until the service closed it."""

    answers: list[Said]
    raw: bytes

    @property
    def statuses(self) -> list[int]:
        """Return the status of each answer, in order."""
        return [answer.status for answer in self.answers]


async def exchange(port: int, *pieces: bytes, pause_s: float = 0.0, tls: ssl.SSLContext | None = None) -> Exchange:
    """Send pieces, and return what comes back until the service closes the connection; bounded by `PATIENCE_S`."""
    raw = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        sending = asyncio.create_task(_send(writer, pieces, pause_s))
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                raw += data
        sending.cancel()
        await asyncio.wait({sending})
        writer.transport.abort()  # to close would be to wait, over TLS, for a goodbye
    parser = Reader()
    parser.feed(bytes(raw))
    return Exchange(parser.answers, bytes(raw))


async def _send(writer: asyncio.StreamWriter, pieces: tuple[bytes, ...], pause_s: float) -> None:
    with suppress(ConnectionError):
        for piece in pieces:
            if writer.is_closing():
                return
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)


def request(
    path: str = "/v1/decisions", body: bytes = b"", method: str = "POST", version: str = "HTTP/1.1", **headers: str
) -> bytes:
    """Return a request, well-formed unless the headers say otherwise; `_` in their names is `-`."""
    given = {"Host": "pdp", "Content-Type": "application/json", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*parts: bytes, trailer: bytes = b"") -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"


class Door(NamedTuple):
    """A service behind a real socket; `tls` is for its callers."""

    bench: Bench
    port: int
    server: Server
    tls: ssl.SSLContext | None = None

    async def exchange(self, *pieces: bytes, pause_s: float = 0.0) -> Exchange:
        """Send pieces, and return what comes back."""
        return await exchange(self.port, *pieces, pause_s=pause_s, tls=self.tls)

    def good(self, **headers: str) -> bytes:
        """Return a request that is allowed."""
        return self.ask(json.dumps(self.bench.query()).encode(), **headers)

    def ask(self, body: bytes, **headers: str) -> bytes:
        """Return a request for a decision with a valid key."""
        return request(body=body, Authorization=f"Bearer {self.bench.key}", **headers)

    async def serves(self) -> None:
        """Fail unless a good query is answered right now."""
        answers = (await self.exchange(self.good(Connection="close"))).answers
        assert [json.loads(answer.body).get("decision") for answer in answers] == ["allow"], answers


@asynccontextmanager
async def listening(
    bench: Bench,
    *,
    within_s: float,
    taken_within_s: float,
    most: int | None = None,
    context: Context | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Any]:
    """Serve `bench` on a free port of this machine with the listener of `pdp serve`.

    Over TLS with the `context` of the listener and `tls` of its callers.
    """
    server = server_for(bench.service.app, "127.0.0.1", 0, grace_s=1, tls=context, most=most)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE_S):
        while not server.started:  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
    async with watched(server, within_s=within_s, every_s=0.05, taken_within_s=taken_within_s):
        yield Door(bench, server.port, server, tls)
    server.should_exit = True
    await serving
