"""One kept-alive connection to a service that may be killed at any moment, and what can become of a request on it."""

import asyncio
import json
from typing import Any, NamedTuple

HUNG_AFTER_S = 5.0  # an adapter gives up after 0.75 s, the PDP itself after 0.5; what takes ten times that long hangs


class Lost(Exception):
    """The connection ended before the answer was there: nobody knows what became of the request."""


class Hung(Exception):
    """No answer in time, on a connection that stayed open."""


class Reply(NamedTuple):
    """A whole HTTP answer."""

    status: int
    body: dict[str, Any]


def request(method: str, path: str, bearer: str, body: Any = None, **headers: str) -> bytes:
    """Return the bytes of one HTTP request; `idempotency_key` and the like become headers."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: pdp", f"Authorization: Bearer {bearer}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class Wire:
    """A connection to a port of loopback, opened when it is needed, one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes, within_s: float = HUNG_AFTER_S) -> Reply:
        """Send a request and return the answer to it. Raises `Lost` and `Hung`; the next request connects anew."""
        try:
            async with asyncio.timeout(within_s):
                return await self._ask(sent)
        except TimeoutError:
            self.close()
            raise Hung(f"no answer within {within_s:g} s") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Lost(str(error)) from None
        except asyncio.CancelledError:
            self.close()
            raise

    async def _ask(self, sent: bytes) -> Reply:
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._open
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return Reply(int(head.split(b" ", 2)[1]), json.loads(body) if body else {})

    def close(self) -> None:
        """Let go of the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None
