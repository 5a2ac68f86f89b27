"""The listener: a stranger can make it hold neither endless heads nor requests that never end."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from pdp.cli.listener import MAX_HEAD_BYTES, Server, server_for, watched
from tests.contracts.engines import until

pytestmark = pytest.mark.promise("api.arrival")
WITHIN_S = 0.3
PATIENCE_S = 20.0
LARGE = 8 * 1024 * 1024  # bytes of an answer: more than the kernel holds for a client


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """Answer once the whole body is in."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than the kernel holds for a client where it is asked for, and as `echo` does elsewhere."""
    if scope["path"] != "/large":
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await send({"type": "http.response.body", "body": b"x" * LARGE})


@asynccontextmanager
async def serving(server: Server, *bound: socket.socket) -> AsyncIterator[Server]:
    """Serve as long as the context lasts, on these sockets or on one of the server's own."""
    task = asyncio.create_task(server.serve(list(bound) or None))
    await until(lambda: server.started, PATIENCE_S)
    try:
        yield server
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, PATIENCE_S)


@asynccontextmanager
async def listening(idle_s: float = 60.0, within_s: float = WITHIN_S) -> AsyncIterator[int]:
    """Serve `echo` and yield the port."""
    async with (
        serving(server_for(echo, "127.0.0.1", 0, grace_s=1)) as server,
        watched(server, within_s=within_s, every_s=0.05, idle_s=idle_s),
    ):
        yield server.port


async def said(port: int, *pieces: bytes) -> bytes:
    """Send pieces, and return all that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            if writer.is_closing():
                break
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
    async with listening(within_s=PATIENCE_S) as port:
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


@pytest.mark.parametrize(
    "pieces", [(HEAD + b"\r\n1234567890",), (HEAD.replace(b"10", b"0") + b"\r\n",)], ids=["body", "bare"]
)
async def test_a_connection_that_asks_for_nothing_more_is_closed_in_time(pieces: tuple[bytes, ...]) -> None:
    async with listening(idle_s=WITHIN_S) as port:
        began = asyncio.get_running_loop().time()
        answer = await said(port, *pieces)
        took = asyncio.get_running_loop().time() - began
    assert answer.startswith(b"HTTP/1.1 200"), "and nothing behind it: there is no request to refuse"
    assert answer.endswith(b"\r\n\r\n")
    assert WITHIN_S - 0.05 < took < 10 * WITHIN_S


async def test_who_comes_is_not_sent_away_for_room_that_another_can_make() -> None:
    """Room is made for several at once; with fewer candidates than that, the one that just came was taken too."""
    most, let_go, held = 32, asyncio.Event(), set()

    async def holding(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/held":
            held.add(id(scope))
            await let_go.wait()
        await echo(scope, receive, send)

    async with serving(server_for(holding, "127.0.0.1", 0, grace_s=1, most=most)) as server:
        busy = [
            asyncio.create_task(said(server.port, LAST.replace(b"POST / ", b"POST /held "))) for _ in range(most - 1)
        ]
        await until(lambda: len(held) == most - 1, PATIENCE_S)
        _, idle = await asyncio.open_connection("127.0.0.1", server.port)
        assert b" 200 " in await said(server.port, LAST)
        let_go.set()
        assert all(b" 200 " in answer for answer in await asyncio.gather(*busy)), "what is under way is left alone"
        idle.close()


@pytest.mark.parametrize("then", [b"keep-alive", b"close"])
async def test_who_does_not_take_an_answer_makes_room_for_those_who_come(then: bytes) -> None:
    most, loop = 8, asyncio.get_running_loop()
    async with serving(server_for(large, "127.0.0.1", 0, grace_s=1, most=most)) as server:
        with ExitStack() as stack:
            for _ in range(most):
                taker = stack.enter_context(socket.socket())
                taker.setblocking(False)
                await loop.sock_connect(taker, ("127.0.0.1", server.port))
                await loop.sock_sendall(taker, b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: %b\r\n\r\n" % then)
            connections: Any = server.server_state.connections
            await until(lambda: [c.transport.get_write_buffer_size() > 0 for c in connections] == [True] * most)
            for _ in range(3):
                assert b" 200 " in await said(server.port, LAST)


async def test_a_client_that_goes_away_with_requests_unanswered_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    may, begun, told = asyncio.Semaphore(0), 0, []

    async def holding(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await may.acquire()
        await echo(scope, receive, send)
        told.append((await receive())["type"])

    async with serving(server_for(holding, "127.0.0.1", 0, grace_s=1)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(4 * (HEAD + b"\r\n1234567890"))
        await until(lambda: begun == 1, PATIENCE_S)
        gc.disable()  # what is let go of is gone, without a search for what holds itself
        try:
            gone = [weakref.ref(connection) for connection in server.server_state.connections]
            writer.transport.abort()
            may.release()
            await until(lambda: begun > 1 and not server.server_state.connections, PATIENCE_S)
            may.release()
            await until(lambda: not server.server_state.tasks and gone[0]() is None, PATIENCE_S)
        finally:
            gc.enable()
    assert (begun, told) == (2, ["http.disconnect"] * 2), "those behind it are not begun"
    assert not caplog.records


async def test_a_head_in_one_piece_with_the_body_before_it_is_bounded_too() -> None:
    async with listening(within_s=PATIENCE_S) as port:
        came = await said(port, HEAD + b"\r\n12345", b"67890GET /" + b"a" * (MAX_HEAD_BYTES + 20_000))
    assert b" 408 " not in came, "it was held until its time was over"


LAST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
