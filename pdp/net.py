"""The only module that imports httpx: what we fetch from elsewhere, and how an adapter asks the PDP.

Nothing here is on the decision path of the service. Every fetch, and every redirect, goes over TLS or stays on this
machine; `JsonClient` says when it does neither.
"""

import asyncio
import hashlib
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import quote_plus, urlsplit

import h11
import httpx

from . import tls
from .addresses import is_this_machine
from .errors import Fault, Rejected
from .query import strict_json

TIMEOUT = httpx.Timeout(30, connect=10)  # seconds between two pieces; people wait for what is fetched here
MAX_DOWNLOAD = 512 * 1024 * 1024  # bytes; a release of OPA has about 60 million

PLAIN_JSON = {"Accept": "application/json", "Accept-Encoding": "identity"}
KEPT_ALIVE = httpx.Limits(
    max_connections=64, max_keepalive_connections=16, keepalive_expiry=4.0
)  # we let go of an idle connection before servers commonly do (5 s), so none breaks under a request
AT_ONCE = 64  # posts of one client on their way; the rest wait, inside their deadlines
OUR_HEADERS = [("Content-Type", "application/json"), ("Accept-Encoding", "identity")]

Progress = Callable[[int, int | None], None]
"""Told the bytes that have arrived, and how many there will be if the server said so."""


class Unfetchable(Fault):
    """A document could not be fetched or is not JSON; the message says why, without its content."""


class Fetcher:
    """Fetches documents from time to time. Made once: reading the trusted certificates takes tens of milliseconds."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(follow_redirects=False, limits=KEPT_ALIVE)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def json(self, url: str, limit: int, within_s: float) -> Any:
        """Return the JSON document at `url`: https or this machine only, no redirects, at most `limit` bytes.

        Raises `Unfetchable` when it is not there, not strict JSON, or not complete `within_s` seconds from now.
        """
        return await self._read(url, limit, within_s, method="GET", headers=PLAIN_JSON)

    async def form(
        self, url: str, fields: dict[str, str], limit: int, within_s: float, basic: tuple[str, str] | None = None
    ) -> Any:
        """Post a form and return the JSON that answers it, with the same bounds. `basic`: user and password.

        Raises `Unfetchable`, which never holds what was sent.
        """
        headers = PLAIN_JSON | ({"Authorization": _basic(*basic)} if basic else {})
        return await self._read(url, limit, within_s, method="POST", headers=headers, data=fields)

    async def _read(self, url: str, limit: int, within_s: float, **request: Any) -> Any:
        try:
            async with asyncio.timeout(within_s):
                return strict_json(await self._body(self._client.build_request(url=url, **request), limit), limit)
        except TimeoutError:
            raise Unfetchable(f"{url} did not answer within {within_s} s") from None
        except Rejected as rejected:
            raise Unfetchable(f"{url}: {rejected.title}") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise Unfetchable(f"{url}: {type(error).__name__} {error}") from None

    async def _body(self, request: httpx.Request, limit: int) -> bytes:
        _stay_safe(request)
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise Unfetchable(f"{request.url} answered {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_raw():  # never inflated: a few bytes must not become gigabytes
                body += piece
                if len(body) > limit:
                    raise Unfetchable(f"{request.url} has more than {limit} bytes")
            return bytes(body)
        finally:
            await response.aclose()


def _basic(user: str, password: str) -> str:
    """Return the header of a client and its secret (RFC 6749, section 2.3.1: both encoded as in a form first)."""
    return "Basic " + b64encode(f"{quote_plus(user)}:{quote_plus(password)}".encode()).decode()


class NoReply(Fault):
    """The other side gave no whole answer; `late` when the deadline passed first."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class Reply(NamedTuple):
    """An HTTP status and a body that was read to its end."""

    status: int
    body: bytes


class JsonClient:
    """Posts and gets JSON at one place over kept-alive connections, opened when first used, and again after `close`.

    `headers` go with every request, `uds` names a unix socket to connect to instead of the URL's host, and `address` is
    that host's, already looked up; `tls` says whom to trust. No redirects, no proxies, no compression. On asyncio and
    h11 themselves: a post costs 0.2 ms of CPU, through httpx 1.4 (measured).
    """

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        limit: int,
        uds: Path | None = None,
        *,
        address: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Fault(f"{url} is not a URL: give one such as https://pdp.example.") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.netloc.isascii():
            raise Fault(f"{url} is not a URL: give one such as https://pdp.example.")
        self._tls = parts.scheme == "https"
        self._address = (parts.hostname, port or (443 if self._tls else 80))
        self._prefix = parts.path.rstrip("/")
        self._headers = [*headers.items(), ("Host", parts.netloc.rpartition("@")[2]), *OUR_HEADERS]
        self._limit = limit
        self._uds = uds
        self._connects_to = (address or self._address[0], self._address[1])
        self._context = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._idle: list[_Line] = []

    @property
    def is_open_line(self) -> bool:
        """Say whether what is sent can be read on the way: neither TLS nor this machine."""
        return self._uds is None and not self._tls and not is_this_machine(self._address[0])

    async def post(self, path: str, body: bytes, within_s: float) -> Reply:
        """Post `body` to `path` and return the reply, whatever its status.

        Raises `NoReply` when it is not here, whole and under the limit, `within_s` seconds from now. A request that
        the server left unheard on a kept-alive connection is sent once more, so `path` must bear being asked twice.
        """
        return await self._sent("POST", path, body, within_s)

    async def get(self, path: str, within_s: float) -> Reply:
        """Get what is at `path`; otherwise as `post`."""
        return await self._sent("GET", path, b"", within_s)

    async def _sent(self, method: str, path: str, body: bytes, within_s: float) -> Reply:
        self._move_to(asyncio.get_running_loop())
        size = ("Content-Length", str(len(body)))
        try:
            request = h11.Request(method=method, target=self._prefix + path, headers=[*self._headers, size])
            async with asyncio.timeout(within_s), self._turns:
                return await self._exchange(request, body)
        except TimeoutError:
            raise NoReply(f"{path} was not answered within {within_s} s", late=True) from None
        except (OSError, UnicodeError, h11.ProtocolError) as error:
            raise NoReply(f"{path}: {tls.said(error, over_tls=self._tls)}") from None

    async def close(self) -> None:
        """Close the connections that are idle; one that is in use closes with its exchange."""
        self._move_to(asyncio.get_running_loop())
        ending, self._idle = self._idle, []
        for line in ending:
            line.abort()
        await asyncio.gather(*(line.gone for line in ending))

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave behind what belongs to another event loop."""
        if self._loop is not loop:
            self._loop, self._turns, self._idle = loop, asyncio.Semaphore(AT_ONCE), []

    async def _exchange(self, request: h11.Request, body: bytes) -> Reply:
        if self._idle:
            try:
                return await self._over(self._idle.pop(), request, body)
            except _Unheard:
                pass
        return await self._over(await self._connect(), request, body)

    async def _over(self, line: "_Line", request: h11.Request, body: bytes) -> Reply:
        try:
            return await line.exchange(request, body)
        finally:
            if line.reusable:
                self._idle.append(line)
            else:
                line.abort()

    async def _connect(self) -> "_Line":
        loop = asyncio.get_running_loop()
        if self._tls and self._context is None:
            self._context = trusted()
        name = self._address[0] if self._tls else None
        options: dict[str, Any] = {"ssl": self._context if self._tls else None, "server_hostname": name}
        if self._uds is not None:
            _, line = await loop.create_unix_connection(self._line, str(self._uds), **options)
        else:
            _, line = await loop.create_connection(self._line, *self._connects_to, **options)
        return line

    def _line(self) -> "_Line":
        return _Line(self._limit, self._forget)

    def _forget(self, line: "_Line") -> None:
        if line in self._idle:
            self._idle.remove(line)


def trusted(ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return whom we trust in TLS (`ca`: only these) and what we show; takes 24 ms, so keep it. Raises `Fault`.

    SSL_CERT_FILE may name other roots.
    """
    context = tls.only_ca(ca) if ca else httpx.create_ssl_context()
    if certificate and key:
        tls.show(context, certificate, key)
    elif certificate or key:
        raise Fault("A client certificate and its key belong together: name both files, or none.")
    return context


class _Unheard(NoReply):
    """The connection was closed before the first byte of a reply."""


class _Line(asyncio.Protocol):
    """One connection, one exchange at a time. Whatever a well-behaved server would not send ends it."""

    def __init__(self, limit: int, on_gone: "Callable[[_Line], None]") -> None:
        self.reusable = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._limit = limit
        self._on_gone = on_gone
        self._http = h11.Connection(h11.CLIENT)
        self._ended = False
        self._reply: asyncio.Future[Reply] | None = None
        self._status, self._body, self._heard, self._ever_heard = 0, bytearray(), False, False
        self._transport: asyncio.Transport

    async def exchange(self, request: h11.Request, body: bytes) -> Reply:
        """Send a request and return the whole reply. Raises `NoReply`."""
        self.reusable = False
        if self._ended:
            raise _Unheard("the connection was closed")
        parts = [self._http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        self._status, self._body, self._heard = 0, bytearray(), False
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.writelines([part for part in parts if part])
        return await self._reply

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on (called by the event loop)."""
        if self._reply is None or self._reply.done():
            self.abort()  # nobody asked
            return
        self._heard = self._ever_heard = True
        self._feed(data)

    def eof_received(self) -> None:
        """Read to the end (called by the event loop); some replies end with the connection, and none follows."""
        self._ended = True
        if self._heard:
            self._feed(b"")
        self.reusable = False

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits (called by the event loop)."""
        self._ended, self.reusable = True, False
        kind = NoReply if self._heard else _Unheard
        why = tls.said(error, over_tls=bool(self._transport.get_extra_info("ssl_object")), heard=self._ever_heard)
        self._fail(kind(f"the connection was closed before the reply was whole ({why})"))
        self.gone.set_result(None)
        self._on_gone(self)

    def _feed(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while self._take(self._http.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            self._fail(NoReply(f"the reply is not HTTP: {error}"))

    def _take(self, event: object) -> bool:
        """Take one event of a reply, and say whether more may follow."""
        if isinstance(event, h11.Response):
            self._status = event.status_code
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._limit:
                self._fail(NoReply(f"the reply has more than {self._limit} bytes"))
                return False
        elif isinstance(event, h11.EndOfMessage):
            self._finish()
        return isinstance(event, h11.InformationalResponse | h11.Response | h11.Data)

    def _finish(self) -> None:
        if self._reply is None or self._reply.done():
            return
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self.reusable = not self._http.trailing_data[0]
        self._reply.set_result(Reply(self._status, bytes(self._body)))

    def _fail(self, reason: NoReply) -> None:
        self.reusable = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(reason)


def fetch_text(url: str, limit: int) -> str:
    """Return the text at `url`. Raises `Fault` when it cannot be had or has more than `limit` bytes."""
    with _response(url) as response:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > limit:
                raise Fault(f"{url} has more than {limit} bytes, which is not what it should be: check the address.")
    return body.decode(errors="replace")


def download(url: str, target: Path, sha256: str, progress: Progress = lambda _done, _total: None) -> None:
    """Write what is at `url` to `target`, a new file, if its SHA-256 is `sha256` (hex).

    Raises `Fault` otherwise, and leaves no file.
    """
    with ExitStack() as undo:
        try:
            file = undo.enter_context(target.open("xb"))
            undo.callback(target.unlink, missing_ok=True)
            arrived = _copy(url, file, progress)
        except OSError as error:
            raise Fault(f"{target} could not be written: {error}.") from None
        if arrived != sha256.lower():
            raise Fault(f"{url} has the SHA-256 {arrived}, not {sha256}: do not use it; try again later.")
        file.close()
        undo.pop_all()


def _copy(url: str, file: BinaryIO, progress: Progress) -> str:
    """Copy what is at `url` to `file` and return its SHA-256."""
    digest = hashlib.sha256()
    with _response(url) as response:
        size = response.headers.get("content-length", "")
        for piece in response.iter_bytes():
            digest.update(piece)
            file.write(piece)
            if file.tell() > MAX_DOWNLOAD:
                raise Fault(f"{url} has more than {MAX_DOWNLOAD} bytes: check the address.")
            progress(file.tell(), int(size) if size.isdecimal() else None)
    return digest.hexdigest()


@contextmanager
def _response(url: str) -> Iterator[httpx.Response]:
    """Yield a 200 for `url`, its body not yet read. Raises `Fault` for anything else."""
    client = httpx.Client(timeout=TIMEOUT, follow_redirects=True, event_hooks={"request": [_stay_safe]})
    try:
        with client, client.stream("GET", url) as response:
            response.raise_for_status()
            yield response
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Fault(f"{url} could not be fetched ({error}): check the network and the proxy settings.") from None


def _stay_safe(request: httpx.Request) -> None:
    if request.url.scheme != "https" and not is_this_machine(request.url.host):
        raise Fault(f"{request.url} is not https: nothing is fetched over an open line.")
