"""Acceptor: takes TLS connections in, with a bound on those that have not shaken hands yet.

The servers of an event loop hold as many handshakes as there are files, each for its time. Here each is a task of ours,
and there are `most`. An honest one takes a few round trips, so who comes next waits a moment in the backlog, where it
costs us nothing: all callers may come back at once. Then the oldest ends, so that silence keeps nobody out.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

logger = logging.getLogger(__name__)

AT_A_TIME = 64  # connections taken in before others have their turn, so that a flood of them holds nobody up
LOOK_AGAIN_S = 0.005  # when there is no room: a few honest handshakes end meanwhile
PATIENT_FOR = 100  # such looks, in which no handshake gives way: half a second, and longer where a turn of the loop is
SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})  # files or memory
AGAIN_AFTER_S = 0.5  # after an accept for which there was no file or memory: what ends meanwhile gives some back


class Acceptor:
    """Accepts on bound `sockets`, with `most` handshakes under way at the same time, of `within_s` seconds at most.

    `context` is asked for each connection, so each is shown the newest certificate. To uvicorn it is an
    `asyncio.Server`: it knows `sockets`, `close` and `wait_closed`.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        most: int,
        within_s: float,
    ) -> None:
        self.sockets = sockets
        self._protocol = protocol
        self._context = context
        self._most = most
        self._within_s = within_s
        self._loop = asyncio.get_running_loop()
        self._shaking: dict[asyncio.Task[None], int] = {}  # the oldest first, and how many looks there were before
        self._looks = 0  # that found no room
        self._short = False  # of files or memory, as far as was said

    @property
    def shaking(self) -> int:
        """Return how many handshakes are under way."""
        return len(self._shaking)

    def start(self, backlog: int) -> None:
        """Listen. Raises `OSError`."""
        for bound in self.sockets:
            bound.setblocking(False)
            bound.listen(backlog)
            self._watch(bound)

    def close(self) -> None:
        """Accept nothing more, and end the handshakes under way."""
        for bound in self.sockets:
            self._loop.remove_reader(bound)
            bound.close()
        for shaking in self._shaking:
            shaking.cancel()

    async def wait_closed(self) -> None:
        """Return when no handshake is under way."""
        if self._shaking:
            await asyncio.wait(self._shaking)

    def _watch(self, bound: socket.socket) -> None:
        if bound.fileno() >= 0:  # else it was closed while we waited for a file
            self._loop.add_reader(bound, self._take_in, bound)

    def _take_in(self, bound: socket.socket) -> None:
        """Take in whoever waits (called by the event loop, again and again while somebody does)."""
        for _ in range(AT_A_TIME):
            if not self._has_room():
                self._looks += 1
                self._look_away(bound, LOOK_AGAIN_S)
                return
            try:
                line, _ = bound.accept()
            except (BlockingIOError, InterruptedError):
                return  # nobody, or another worker was faster
            except OSError as error:
                if error.errno not in SHORT_OF:
                    continue  # what became of that one connection before its turn: accept(2) passes it on
                self._pause(bound, error)
                return
            self._short = False
            self._begin(line)

    def _has_room(self) -> bool:
        """Say whether another handshake may begin: there is a place, or one of those under way had its time."""
        if len(self._shaking) < self._most:
            return True
        return self._looks - next(iter(self._shaking.values())) >= PATIENT_FOR

    def _pause(self, bound: socket.socket, error: OSError) -> None:
        """Wait for what ends meanwhile: to look again at once would be to do nothing else."""
        self._look_away(bound, AGAIN_AFTER_S)
        if not self._short:
            logger.error("nobody can be let in for now (%s): see how many files and connections are open", error)
        self._short = True

    def _look_away(self, bound: socket.socket, for_s: float) -> None:
        """Accept nothing for a while; who waits goes on waiting."""
        self._loop.remove_reader(bound)
        self._loop.call_later(for_s, self._watch, bound)

    def _begin(self, line: socket.socket) -> None:
        """Begin a handshake, and end the oldest when there are too many."""
        line.setblocking(False)
        shaking = asyncio.create_task(self._shake(line))
        shaking.add_done_callback(partial(self._done, line))
        self._shaking[shaking] = self._looks
        if len(self._shaking) > self._most:
            oldest = next(iter(self._shaking))
            del self._shaking[oldest]
            oldest.cancel()

    async def _shake(self, line: socket.socket) -> None:
        await self._loop.connect_accepted_socket(
            self._protocol, line, ssl=self._context(), ssl_handshake_timeout=self._within_s
        )

    def _done(self, line: socket.socket, shaking: asyncio.Task[None]) -> None:
        """Forget a handshake that has ended; one that failed is the stranger's own affair, and not worth a line."""
        self._shaking.pop(shaking, None)
        error = None if shaking.cancelled() else shaking.exception()
        if shaking.cancelled() or error:
            line.close()  # no transport may have come of it
        if error and not isinstance(error, OSError):
            logger.error("a TLS handshake ended in a way that was not foreseen", exc_info=error)


async def bound_sockets(host: str, port: int) -> list[socket.socket]:
    """Return a socket bound at `port` of each address that `host` has. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as undo:
        places = dict.fromkeys((family, address) for family, _, _, _, address in found)
        sockets = [undo.enter_context(socket.create_server(place, family=family)) for family, place in places]
        undo.pop_all()
    return sockets
