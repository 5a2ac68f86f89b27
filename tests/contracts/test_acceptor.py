"""Whoever has not shaken hands holds one of few places, and the oldest gives way: no stranger keeps a caller out."""

import asyncio
import errno
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from pdp.cli.lines import Renewal
from pdp.cli.listener import MAX_CONNECTIONS, MAX_SHAKING, SHAKING, Server, server_for, watched
from pdp.net import trusted
from pdp.tls import Files
from tests.contracts.engines import until
from tests.contracts.test_listener import LAST, echo, large, serving
from tests.pki import Authority, authority

pytestmark = pytest.mark.promise("serve.handshakes")
MOST = 512  # connections, handshakes among them
AT_ONCE = MOST // SHAKING  # handshakes
STRANGERS = AT_ONCE + AT_ONCE // 2
SOON_S = 5.0  # half of what a handshake is given
HELLO = b"\x16\x03\x01\x02\x00\x01"  # how one begins


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    """Return an authority."""
    return authority(tmp_path / "ours")


@asynccontextmanager
async def shown(
    ours: Authority, most: int = MOST, app: Any = echo, *bound: socket.socket
) -> AsyncIterator[tuple[Server, ssl.SSLContext]]:
    """Serve `app` over TLS, on `bound` if there is one, and yield the server and a context for its callers."""
    pair = ours.issue("server")
    renewal = Renewal(Files(pair.certificate, pair.key))
    async with serving(server_for(app, "127.0.0.1", 0, grace_s=1, tls=renewal.context, most=most), *bound) as server:
        yield server, trusted(ours.ca)


async def greeted(port: int, tls: ssl.SSLContext, line: socket.socket | None = None) -> bytes:
    """Return what is answered to a request over TLS."""
    where = {"sock": line, "server_hostname": "127.0.0.1"} if line else {"host": "127.0.0.1", "port": port}
    async with asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection(ssl=tls, **where)  # type: ignore[arg-type]
        writer.write(LAST)
        answer = await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return answer


def heedless(port: int, tls: ssl.SSLContext, asked: bytes = LAST) -> ssl.SSLSocket:
    """Return a client's end of a connection on which something was asked and nothing is read."""
    line = tls.wrap_socket(socket.create_connection(("127.0.0.1", port), SOON_S), server_hostname="127.0.0.1")
    line.sendall(asked)
    return line


async def silent(port: int, stack: ExitStack) -> asyncio.Task[bytes]:
    """Begin a handshake and leave it there; the task ends with the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    writer.write(HELLO)
    return asyncio.create_task(ended(reader))


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return when the connection has ended."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


def shaking(server: Server) -> int:
    """Return how many handshakes are under way."""
    acceptor: Any = server.servers[0]
    return int(acceptor.shaking)


async def test_who_never_shakes_hands_makes_room_for_those_who_do(ours: Authority) -> None:
    with ExitStack() as stack:
        async with shown(ours) as (server, tls):
            silently = [await silent(server.port, stack) for _ in range(STRANGERS)]
            assert b" 200 " in await greeted(server.port, tls)
            await until(lambda: sum(not task.done() for task in silently) <= AT_ONCE, SOON_S)
            assert not any(task.done() for task in silently[-AT_ONCE // 2 :]), "the oldest went first"
        await asyncio.wait_for(asyncio.gather(*silently), SOON_S)


async def test_nobody_gives_way_but_for_one_who_comes(ours: Authority) -> None:
    with ExitStack() as stack:
        async with shown(ours) as (server, _):
            silently = [await silent(server.port, stack) for _ in range(AT_ONCE + 1)]
            await until(silently[0].done, SOON_S)
            assert shaking(server) == AT_ONCE
            assert not any(task.done() for task in silently[1:])
        await asyncio.wait_for(asyncio.gather(*silently), SOON_S)


async def test_callers_in_great_number_leave_a_part_of_the_places_to_who_shakes_hands(ours: Authority) -> None:
    most = 64
    async with shown(ours, most) as (server, tls):
        with ExitStack() as stack:
            for _ in range(most):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
                stack.callback(lambda one: one.transport.abort(), writer)
            silently = [await silent(server.port, stack) for _ in range(most // SHAKING)]
            await until(lambda: shaking(server) == most // SHAKING, SOON_S)
            assert len(server.server_state.connections) <= most - most // SHAKING
            assert b" 200 " in await greeted(server.port, tls)
        await asyncio.wait_for(asyncio.gather(*silently), SOON_S)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process open 4,096 files, where the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
async def test_strangers_hold_no_more_handshakes_than_memory_is_set_aside_for_though_places_are_free(
    ours: Authority,
) -> None:
    with ExitStack() as stack:
        async with shown(ours, 2 * MAX_CONNECTIONS) as (server, tls):
            silently = [await silent(server.port, stack) for _ in range(MAX_SHAKING + AT_ONCE)]
            await until(lambda: shaking(server) >= MAX_SHAKING, SOON_S)
            assert b" 200 " in await greeted(server.port, tls)
            assert shaking(server) <= MAX_SHAKING
        await asyncio.wait_for(asyncio.gather(*silently), SOON_S)


async def test_all_callers_may_come_back_at_once(ours: Authority) -> None:
    """As after a restart: who finds no room for its handshake waits its turn, and nobody's is ended for it."""
    callers = MOST - AT_ONCE
    with ExitStack() as stack:
        async with shown(ours) as (server, tls), asyncio.timeout(6 * SOON_S):
            coming = [asyncio.open_connection("127.0.0.1", server.port, ssl=tls) for _ in range(callers)]
            for _, writer in await asyncio.gather(*coming):
                stack.callback(lambda one: one.transport.abort(), writer)
            await until(lambda: len(server.server_state.connections) == callers, SOON_S)


async def test_a_service_that_stops_ends_the_handshakes_under_way_at_once(ours: Authority) -> None:
    with ExitStack() as stack:
        async with shown(ours) as (server, _):
            held = await silent(server.port, stack)
        await asyncio.wait_for(held, SOON_S)


async def test_a_listener_that_has_no_file_for_who_comes_waits_without_haste_and_goes_on(
    ours: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(socket.socket()) as waiting:
        waiting.setblocking(False)
        async with shown(ours) as (server, tls):
            free = os.dup(0)
            os.close(free)
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (free, most))
                await asyncio.get_running_loop().sock_connect(waiting, ("127.0.0.1", server.port))
                await until(lambda: "nobody can be let in" in caplog.text, SOON_S)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
            assert b" 200 " in await greeted(server.port, tls, waiting)
    assert len(caplog.records) == 1, "said once"


class Unlucky(socket.socket):
    """A listening socket whose first connection ended on the network before it was taken: accept(2) passes that on."""

    error = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Fail once, then accept."""
        error, self.error = self.error, 0
        if error:
            raise OSError(error, os.strerror(error))
        return super().accept()


@pytest.mark.parametrize("error", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ECONNABORTED, errno.EPROTO])
async def test_what_became_of_one_connection_on_its_way_holds_up_no_other(
    ours: Authority, error: int, caplog: pytest.LogCaptureFixture
) -> None:
    bound = Unlucky()
    bound.bind(("127.0.0.1", 0))
    bound.error = error
    async with shown(ours, MOST, echo, bound) as (server, tls):
        assert b" 200 " in await greeted(server.port, tls)
    assert bound.error == 0
    assert not caplog.records, "it was taken for a want of files, and everybody waited"


async def test_who_takes_no_goodbye_makes_room_for_those_who_come(ours: Authority) -> None:
    """TLS ends with a word from each side; who leaves us waiting for theirs was counted, and could not be let go of."""

    most = 16
    with ExitStack() as stack:
        async with shown(ours, most) as (server, tls):
            for _ in range(most):
                stack.enter_context(await asyncio.to_thread(heedless, server.port, tls))
            connections = server.server_state.connections
            await until(lambda: all(c.transport.is_closing() for c in connections), SOON_S)
            for _ in range(3):
                assert b" 200 " in await greeted(server.port, tls)


async def test_who_ends_its_side_and_does_not_take_its_answer_is_given_up_in_time(ours: Authority) -> None:
    """What waits for the kernel then is in no write buffer that we are shown, and uvloop sets no time for it."""
    loop, asked = asyncio.get_running_loop(), b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    async with shown(ours, app=large) as (server, tls), watched(server, every_s=0.05, taken_within_s=0.5, idle_s=0.1):
        with await asyncio.to_thread(heedless, server.port, tls, asked) as line:
            connections: Any = server.server_state.connections
            await until(lambda: [c.cycle and c.cycle.response_started for c in connections] == [True], SOON_S)
            socket.socket.shutdown(line, socket.SHUT_WR)
            began = loop.time()
            await until(lambda: not connections, SOON_S)
    assert loop.time() - began > 0.4, "nobody is hung up on early"
