"""Plain ASGI: read a bounded body, send JSON and problems. Used where a router would cost more than the decision."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from ..errors import Rejected
from ..ids import new_id
from ..times import Clock

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBLEM_JSON = b"application/problem+json"  # RFC 9457
MAX_REQUEST_ID = 128  # long enough for a traceparent, short enough for a log line


def header(scope: Scope, name: bytes) -> str | None:
    """Return the only value of a header. Raises `Rejected` 400 when it is sent twice: which one would count?"""
    values = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        raise Rejected(400, "http.header_repeated", f"The header {name.decode()} is sent more than once.")
    return values[0].decode("latin-1") if values else None


def request_id(scope: Scope, now: Clock) -> str:
    """Return the caller's X-Request-ID when it is short printable ASCII, else a new one."""
    given = next((value for key, value in scope["headers"] if key == b"x-request-id"), b"")
    text = given.decode("latin-1")
    return text if 0 < len(text) <= MAX_REQUEST_ID and text.isascii() and text.isprintable() else new_id("req", now())


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read a JSON body of at most `limit` bytes. Raises `Rejected` 413 or 415, and 400 when the client went away."""
    kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Rejected(415, "http.media_type", "Send the body as application/json.")
    too_large = Rejected(413, "query.too_large", f"The body is larger than {limit} bytes.")
    if int(header(scope, b"content-length") or 0) > limit:  # before anything of it is asked for (100-continue) or read
        raise too_large
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Rejected(400, "http.disconnected", "The body did not arrive.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def send_json(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]], kind: bytes = b"application/json"
) -> None:
    """Send one JSON response that no cache may keep."""
    fixed = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


def problem(error: Rejected) -> dict[str, Any]:
    """Return the RFC 9457 members of a rejection: `type`, `title`, `status`, `code`; never what was sent."""
    return {
        "type": f"urn:mcp-pdp:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
    }


async def send_problem(send: Send, error: Rejected, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a rejection as application/problem+json."""
    extra = [(key.lower().encode(), value.encode()) for key, value in error.headers.items()]
    body = msgspec.json.encode(problem(error))
    await send_json(send, error.status, body, [*extra, *headers], PROBLEM_JSON)
