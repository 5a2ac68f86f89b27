"""The only module that imports httpx: what we fetch from elsewhere, and how an adapter asks the PDP.

Nothing here is on the decision path of the service. Every fetch, and every redirect, goes over TLS or stays on this
machine; `JsonClient` says when it does neither.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import httpx

from .errors import Fault, Rejected
from .query import strict_json

TIMEOUT = httpx.Timeout(30, connect=10)  # seconds between two pieces; people wait for what is fetched here
MAX_DOWNLOAD = 512 * 1024 * 1024  # bytes; a release of OPA has about 60 million

KEPT_ALIVE = httpx.Limits(
    max_connections=64, max_keepalive_connections=16, keepalive_expiry=4.0
)  # we let go of an idle connection before servers commonly do (5 s), so none breaks under a request

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
        try:
            async with asyncio.timeout(within_s):
                return strict_json(await self._body(url, limit), limit)
        except TimeoutError:
            raise Unfetchable(f"{url} did not answer within {within_s} s") from None
        except Rejected as rejected:
            raise Unfetchable(f"{url}: {rejected.title}") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise Unfetchable(f"{url}: {type(error).__name__} {error}") from None

    async def _body(self, url: str, limit: int) -> bytes:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        request = self._client.build_request("GET", url, headers=headers)
        _stay_safe(request)
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise Unfetchable(f"{url} answered {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_raw():  # never inflated: a few bytes must not become gigabytes
                body += piece
                if len(body) > limit:
                    raise Unfetchable(f"{url} has more than {limit} bytes")
            return bytes(body)
        finally:
            await response.aclose()


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
    """Posts JSON to one place over few kept-alive connections. Opens them when first used, again after `close`.

    `headers` go with every request, `uds` names a unix socket to connect to instead of the URL's host.
    Below httpx's `Client` on purpose: no redirects, no cookies, no proxy from the environment, 0.2 ms less a call.
    """

    def __init__(self, url: str, headers: dict[str, str], limit: int, uds: Path | None = None) -> None:
        try:
            self._url = httpx.URL(url.rstrip("/"))
        except httpx.InvalidURL:
            raise Fault(f"{url} is not a URL: give one such as https://pdp.example.") from None
        if self._url.scheme not in {"http", "https"} or not self._url.host:
            raise Fault(f"{url} is not a URL: give one such as https://pdp.example.")
        self._headers = {**headers, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._limit = limit
        self._uds = uds
        self._transport: httpx.AsyncHTTPTransport | None = None

    @property
    def is_open_line(self) -> bool:
        """Say whether what is sent can be read on the way: neither TLS nor this machine."""
        return self._uds is None and self._url.scheme != "https" and not _is_local(self._url.host)

    async def post(self, path: str, body: bytes, within_s: float) -> Reply:
        """Post `body` to `path` and return the reply, whatever its status.

        Raises `NoReply` when it is not here, whole and under the limit, `within_s` seconds from now.
        """
        url = self._url.copy_with(raw_path=self._url.raw_path.rstrip(b"/") + path.encode("ascii"))
        request = httpx.Request("POST", url, headers=self._headers, content=body)
        try:
            async with asyncio.timeout(within_s):
                return await self._exchange(request)
        except TimeoutError:
            raise NoReply(f"{url} did not answer within {within_s} s", late=True) from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise NoReply(f"{url}: {type(error).__name__} {error}") from None

    async def close(self) -> None:
        """Close the connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _exchange(self, request: httpx.Request) -> Reply:
        if self._transport is None:
            self._transport = self._connect()
        response = await self._transport.handle_async_request(request)
        try:
            body = bytearray()
            async for piece in response.stream:  # type: ignore[union-attr]  # an async transport's stream is async
                body += piece
                if len(body) > self._limit:
                    raise NoReply(f"{request.url} answered with more than {self._limit} bytes")
            return Reply(response.status_code, bytes(body))
        finally:
            await response.aclose()

    def _connect(self) -> httpx.AsyncHTTPTransport:
        secure = self._url.scheme == "https"  # a TLS context costs 24 ms: not made where it is not used
        uds = None if self._uds is None else str(self._uds)
        return httpx.AsyncHTTPTransport(verify=secure, trust_env=False, uds=uds, limits=KEPT_ALIVE)


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
    if request.url.scheme != "https" and not _is_local(request.url.host):
        raise Fault(f"{request.url} is not https: nothing is fetched over an open line.")


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
