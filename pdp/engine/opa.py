"""Asks a running OPA, over a unix socket or loopback TCP: few connections, a queue, a deadline, a strict reading.

More connections than twice the cores add no throughput to OPA, only waiting inside it; so calls wait here, in order of
arrival, where a late one is answered without work (shared research, measured-opa). One deadline covers queue and wire.
"""

import asyncio
import os
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..deadlines import Deadlines
from ..errors import NOT_JSON, Fault, Refused
from .reply import must_be_unique
from .wire import OK, Connection, Lost, Response

CONNECTIONS = 2 * (os.cpu_count() or 1)  # measured: OPA is saturated at this many
MAX_WAITING = 1024  # at 4,000 answers a second a longer queue could not be served before its deadline of 0.2 s
DEFAULT_PORT = 8181  # OPA's own
ALONE = b'{"result":}'
HEALTH = b"GET /health HTTP/1.1\r\nHost: opa\r\nConnection: close\r\n\r\n"


class UnixAddress(NamedTuple):
    """A unix socket, by its path."""

    path: str


class TcpAddress(NamedTuple):
    """A loopback address."""

    host: str
    port: int


class Envelope(Struct, frozen=True):
    """The body of OPA's data API; `result` is absent when the rule is undefined."""

    result: Raw | UnsetType = UNSET


class OpaClient:
    """An `Engine` that asks an OPA somebody runs at `url`: `unix:///path/to.sock` or `http://127.0.0.1:8181`."""

    def __init__(
        self, url: str, revision: str, *, connections: int = CONNECTIONS, max_waiting: int = MAX_WAITING
    ) -> None:
        self._address = parse_url(url)
        self._url = url
        self._revision = revision
        self._deadlines = Deadlines()
        self._slots = asyncio.Semaphore(connections)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._closed = False
        self._lost = False

    @property
    def revision(self) -> str:
        """Return the digest of the policy that every answer must come from."""
        return self._revision

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a connection."""
        return self._waiting

    @property
    def running(self) -> bool:
        """Say whether there was a connection when somebody last asked, or nobody has asked yet."""
        return not self._lost

    async def evaluate(self, entrypoint: str, document: bytes, deadline: float) -> bytes:
        """Evaluate `data.<entrypoint>` on `document`; see `Engine.evaluate` for the refusals."""
        request = request_for(entrypoint, document)
        if deadline <= asyncio.get_running_loop().time():
            raise Refused("engine.timeout", "the deadline had passed before OPA was asked")
        try:
            with self._deadlines.at(deadline):
                response = await self._in_turn(request)
        except TimeoutError:
            raise Refused("engine.timeout", "the deadline passed in the queue or on the wire") from None
        return result_of(response)

    async def ping(self, deadline: float) -> None:
        """Ask OPA for its health on a connection of its own, past the queue. Raises `Refused` unless it is well."""
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._over(await self._connect(), HEALTH)
        except TimeoutError:
            raise Refused("engine.timeout", "OPA did not answer its health check") from None
        except Lost:
            raise Refused("engine.unavailable", "OPA closed the connection of its health check") from None
        if response.status != OK:
            raise Refused("engine.unavailable", f"OPA's health check answered {response.status}")

    async def close(self) -> None:
        """Close every connection; calls on the way are refused with `engine.unavailable`."""
        self._closed = True
        ending = list(self._open)
        for connection in ending:
            connection.abort()
        await asyncio.gather(*(connection.gone for connection in ending))

    async def _in_turn(self, request: bytes) -> Response:
        if self._waiting >= self._max_waiting:
            raise Refused("engine.unavailable", f"{self._waiting} calls are waiting for OPA already")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._exchange(request)
        finally:
            self._slots.release()

    async def _exchange(self, request: bytes) -> Response:
        """Use a kept-alive connection; when OPA had closed it unheard, try once more on a fresh one."""
        if self._idle:
            try:
                return await self._over(self._idle.pop(), request)
            except Lost:
                pass  # an evaluation changes nothing, so asking again is safe
        try:
            return await self._over(await self._connect(), request)
        except Lost:
            raise Refused("engine.unavailable", "OPA closed a fresh connection without an answer") from None

    async def _over(self, connection: Connection, request: bytes) -> Response:
        try:
            return await connection.exchange(request)
        finally:
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.abort()

    async def _connect(self) -> Connection:
        if self._closed:
            raise Refused("engine.unavailable", "the PDP has let go of this OPA")
        loop = asyncio.get_running_loop()
        try:
            if isinstance(self._address, UnixAddress):
                _, connection = await loop.create_unix_connection(self._opened, self._address.path)
            else:
                _, connection = await loop.create_connection(self._opened, *self._address)
        except OSError as error:
            self._lost = True
            raise Refused("engine.unavailable", f"no connection to OPA at {self._url}: {error}") from None
        if self._closed or connection.gone.done():
            connection.abort()
            raise Refused("engine.unavailable", f"the connection to OPA at {self._url} was closed as it opened")
        self._lost = False
        self._open.add(connection)
        return connection

    def _opened(self) -> Connection:
        return Connection(self._ended)

    def _ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


def parse_url(url: str) -> UnixAddress | TcpAddress:
    """Read the address of an OPA. Raises `Fault` for anything but a unix socket or loopback.

    Whoever can answer in OPA's place can allow anything, and plain HTTP proves nothing about who answers.
    """
    wrong = Fault(f"{url} is no address of an OPA: use unix:///path/to/opa.sock or http://127.0.0.1:{DEFAULT_PORT}.")
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise wrong from None
    if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/"):
        return UnixAddress(parts.path)
    if parts.scheme == "http" and _is_loopback(parts.hostname) and parts.path in ("", "/") and not parts.username:
        return TcpAddress(parts.hostname or "", port)
    raise wrong


def request_for(entrypoint: str, document: bytes) -> bytes:
    """Return the whole HTTP request that evaluates `data.<entrypoint>` on `document`, itself one JSON value."""
    return b'%b%d\r\n\r\n{"input":%b}' % (_head(entrypoint), len(document) + len(b'{"input":}'), document)


def result_of(response: Response) -> bytes:
    """Return the JSON of the result. Raises `Refused` for any answer but a 200 with a JSON object that has one."""
    if response.status != OK:
        raise Refused("engine.garbled", f"OPA answered {response.status}: {response.body[:200]!r}")
    try:
        result = msgspec.json.decode(response.body, type=Envelope).result
    except NOT_JSON as error:
        raise Refused("engine.garbled", f"OPA's answer is not the JSON we expect: {error}") from None
    if result is UNSET:
        raise Refused("engine.undefined", "OPA answered without a result")
    if len(response.body.strip()) != len(ALONE) + len(result):  # otherwise there is no room for another member
        must_be_unique(response.body)
    return bytes(result)


@lru_cache
def _head(entrypoint: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*", entrypoint):
        raise ValueError(f"not the path of a rule: {entrypoint!r}")
    lines = [f"POST /v1/data/{entrypoint} HTTP/1.1", "Host: opa", "Content-Type: application/json", "Content-Length: "]
    return "\r\n".join(lines).encode()


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
