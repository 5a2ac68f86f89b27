"""A server on a unix socket that answers, byte for byte, what a test tells it to: a bad OPA is a real peer too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

Exchange = Callable[["Peer", bytes], Awaitable[None]]


class Peer:
    """The server's end of one connection. `served` counts the requests that came over it."""

    def __init__(self, writer: asyncio.StreamWriter, number: int) -> None:
        self.writer = writer
        self.task = cast("asyncio.Task[None]", asyncio.current_task())  # the one that serves it
        self.number = number
        self.served = 0
        self.ended = False

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a packet of its own as far as one can tell."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def close(self) -> None:
        """Close the connection."""
        self.writer.close()


class Scripted:
    """What happened at the server: every connection, and every request body in order of arrival."""

    def __init__(self, answer: Exchange) -> None:
        self.peers: list[Peer] = []
        self.asked: list[bytes] = []
        self.most_at_once = 0
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read requests and let the script answer until either side has had enough."""
        peer = Peer(writer, len(self.peers))
        self.peers.append(peer)
        self.most_at_once = max(self.most_at_once, sum(not peer.ended for peer in self.peers))
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.asked.append(body)
                peer.served += 1
                await self._answer(peer, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            peer.ended = True
            writer.close()


@asynccontextmanager
async def scripted(socket: Path, answer: Exchange) -> AsyncIterator[Scripted]:
    """Run such a server at `socket`."""
    script = Scripted(answer)
    server = await asyncio.start_unix_server(script.serve, socket)
    async with server:
        yield script
        for peer in script.peers:
            peer.close()
        await asyncio.gather(*(peer.task for peer in script.peers))


def ok(body: bytes, *headers: bytes) -> bytes:
    """Return a plain 200 with `body`."""
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def echo(body: bytes) -> bytes:
    """Return the answer OPA gives when the policy echoes its input."""
    return ok(b'{"result":' + body.removeprefix(b'{"input":').removesuffix(b"}") + b"}")
