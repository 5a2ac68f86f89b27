"""Serve an ASGI application on this machine, from inside a running event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """uvicorn, but signals stay with whoever runs the event loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def loopback_socket(port: int = 0, host: str = HOST) -> Iterator[socket.socket]:
    """Yield a bound socket, so that its port is known before what is served there is made; 0 takes a free port."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        yield bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of what listens on a socket."""
    host, port = bound.getsockname()[:2]
    return f"http://{host}:{port}"


@asynccontextmanager
async def served(app: Any, bound: socket.socket) -> AsyncIterator[str]:
    """Serve `app` on a socket while the context lasts; yields its URL once it answers."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1, ws="none"
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():  # noqa: ASYNC110  # uvicorn offers no event to wait for
        await asyncio.sleep(0.005)
    if not server.started:
        await serving
        raise RuntimeError("the server stopped before it started; its log says why")
    try:
        yield url_of(bound)
    finally:
        server.should_exit = True
        await serving
