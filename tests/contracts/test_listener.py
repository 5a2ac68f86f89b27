"""The listener: a stranger can make it hold neither endless heads nor requests that never end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pdp.cli.listener import MAX_HEAD_BYTES, server_for, watched

pytestmark = pytest.mark.promise("api.arrival")
WITHIN_S = 0.3


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Answer once the whole body is in."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """Serve `echo` and yield the port."""
    server = server_for(echo, "127.0.0.1", 0, grace_s=1)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        async with watched(server, within_s=WITHIN_S, every_s=0.05):
            yield server.port
        server.should_exit = True
        await serving


async def said(port: int, *pieces: bytes) -> bytes:
    """Send pieces, and return all that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        return await reader.read()
    except ConnectionError:
        return b"closed"
    finally:
        writer.close()


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"


@pytest.mark.parametrize(
    "pieces", [(b"",), (b"POST / HT",), (HEAD,), (HEAD + b"\r\n",), (HEAD + b"\r\n", b"12345")], ids=str
)
async def test_a_request_that_does_not_arrive_is_given_up(pieces: tuple[bytes, ...]) -> None:
    async with listening() as port:
        began = asyncio.get_running_loop().time()
        assert (await said(port, *pieces)).startswith(b"HTTP/1.1 408")
        assert asyncio.get_running_loop().time() - began > WITHIN_S - 0.05


@pytest.mark.parametrize("value", [b"X: " + b"y" * MAX_HEAD_BYTES, b"X: y\r\n" * (MAX_HEAD_BYTES // 4)])
async def test_a_head_that_is_too_large_is_refused_in_one_piece_or_in_many(value: bytes) -> None:
    async with listening() as port:
        whole = await said(port, HEAD + value + b"\r\n\r\n1234567890")
        slices = [value[start : start + 4096] for start in range(0, len(value), 4096)]
        many = await said(port, HEAD, *slices)
    assert whole.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b"closed"))
    assert many.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b"closed"))


async def test_a_connection_that_waits_for_its_next_request_is_kept_and_served() -> None:
    request = HEAD + b"\r\n1234567890"
    async with listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(request)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(2 * WITHIN_S)  # longer than a request may take: this is not one
        writer.close()


async def test_who_comes_is_not_sent_away_for_room_that_another_can_make() -> None:
    """Room is made for several at once; with fewer candidates than that, the one that just came was taken too."""
    most, let_go, held = 32, asyncio.Event(), set()

    async def holding(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/held":
            held.add(id(scope))
            await let_go.wait()
        await echo(scope, receive, send)

    server = server_for(holding, "127.0.0.1", 0, grace_s=1, most=most)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await asyncio.sleep(0.01)
        busy = [
            asyncio.create_task(said(server.port, LAST.replace(b"POST / ", b"POST /held "))) for _ in range(most - 1)
        ]
        while len(held) < most - 1:  # noqa: ASYNC110  # each is counted when it is under way
            await asyncio.sleep(0.01)
        _, idle = await asyncio.open_connection("127.0.0.1", server.port)
        assert b" 200 " in await said(server.port, LAST)
        let_go.set()
        assert all(b" 200 " in answer for answer in await asyncio.gather(*busy)), "what is under way is left alone"
        idle.close()
        server.should_exit = True
        await serving


LAST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
