"""Hostile HTTP on a real socket: each has a stated outcome, nothing is allowed or echoed, and others are served.

On uvloop, as the service runs; where the line can make a difference, over TLS too.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pdp.cli.lines import Renewal
from pdp.cli.listener import MAX_AHEAD, MAX_HEAD_BYTES, MAX_HEADERS
from pdp.net import JsonClient, NoReply, trusted
from pdp.tls import Files
from tests.pki import authority
from tests.raw import LAST, PATIENCE_S, Door, chunked, exchange, listening, request
from tests.service import calm, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("api.hostile")]
ARRIVES_S, TAKEN_S = 1.0, 1.0  # what the listener of these tests grants
MOST = 64  # connections
SECRET = "x-marks-the-spot"  # nothing that was sent comes back


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Door]]:
    """Return a service behind two real sockets, one of them with TLS."""
    path: Path = tmp_path_factory.mktemp("pdp")
    ours = authority(path / "ours")
    pair = ours.issue("server")
    renewal = Renewal(Files(pair.certificate, pair.key))
    bounds: Any = {"within_s": ARRIVES_S, "taken_within_s": TAKEN_S, "most": MOST}
    async with (
        running(path / "data", org_dir=calm(path / "org")) as bench,
        listening(bench, **bounds) as plain,
        listening(bench, **bounds, context=renewal.context, tls=trusted(ours.ca)) as tls,
    ):
        yield {"plain": plain, "tls": tls}


@pytest.fixture
def door(doors: dict[str, Door]) -> Door:
    """Return a service behind a real socket."""
    return doors["plain"]


@pytest.fixture(params=["plain", "tls"])
def either(doors: dict[str, Door], request: pytest.FixtureRequest) -> Door:
    """Return it behind a plain socket, then with TLS."""
    return doors[request.param]


def head(door: Door, *lines: bytes, line: bytes = b"POST /v1/decisions HTTP/1.1", host: bytes = b"Host: pdp") -> bytes:
    """Return a head with a valid key and these lines, byte for byte."""
    key = f"Authorization: Bearer {door.bench.key}\r\nContent-Type: application/json".encode()
    return b"\r\n".join([line, *([host] if host else []), key, *lines]) + b"\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
UNREADABLE = {  # how the length or the end of a request can be read in two ways, and what is no HTTP/1.1
    "a length and chunks": (b"Content-Length: 5", CHUNKED),
    "chunks and a length": (CHUNKED, b"Content-Length: 5"),
    "two lengths": (b"Content-Length: 2", b"Content-Length: 5"),
    "the same length twice": (b"Content-Length: 2", b"Content-Length: 2"),
    "a list of lengths": (b"Content-Length: 2, 2",),
    "a length with a sign": (b"Content-Length: +2",),
    "a negative length": (b"Content-Length: -2",),
    "a length in hexadecimal": (b"Content-Length: 0x2",),
    "a length beyond 64 bits": (b"Content-Length: 99999999999999999999999",),
    "a space before the colon": (b"Content-Length : 2",),
    "a space before the other colon": (b"Transfer-Encoding : chunked",),
    "a coding that looks like chunked": (b"Transfer-Encoding: xchunked",),
    "a coding behind a control character": (b"Transfer-Encoding: \x0bchunked",),
    "a coding on the next line": (b"Transfer-Encoding:\r\n chunked",),
    "chunks that are not the last coding": (b"Transfer-Encoding: chunked, identity",),
    "chunks that are not the only coding": (b"Transfer-Encoding: gzip, chunked",),
    "chunks twice": (CHUNKED, CHUNKED),
    "identity": (b"Transfer-Encoding: identity",),
    "a folded header": (b"X: a\r\n b", b"Content-Length: 2"),
    "a bare return": (b"X: a\rContent-Length: 2", b"Content-Length: 2"),
    "a bare line feed": (b"X: a\nContent-Length: 2", b"Content-Length: 2"),
    "a NUL in a header": (b"X: a\0b", b"Content-Length: 2"),
    "two hosts": (b"Host: evil.example", b"Content-Length: 2"),
}
LINES = {  # the first line of a request
    "chunks in HTTP/1.0": (b"POST /v1/decisions HTTP/1.0", CHUNKED),
    "HTTP/0.9": (b"GET /livez", b"X: y"),
    "HTTP/1.2": (b"POST /v1/decisions HTTP/1.2", b"Content-Length: 2"),
    "HTTP/2.0": (b"POST /v1/decisions HTTP/2.0", b"Content-Length: 2"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2", b"X: y"),
    "a method in lower case": (b"post /v1/decisions HTTP/1.1", b"Content-Length: 2"),
    "a method nobody knows": (b"DECIDE /v1/decisions HTTP/1.1", b"Content-Length: 2"),
    "a tunnel": (b"CONNECT evil.example:443 HTTP/1.1", b"X: y"),
    "a NUL in the path": (b"POST /v1/decisions\0 HTTP/1.1", b"Content-Length: 2"),
    "a path beyond ASCII": (b"POST /v1/d\xffcisions HTTP/1.1", b"Content-Length: 2"),
    "a port beyond 65535": (b"POST http://x:99999/v1/decisions HTTP/1.1", b"Content-Length: 2"),
}


async def refused(door: Door, sent: bytes, *statuses: int) -> None:
    """Fail unless this gets exactly one of these statuses as a problem, and the connection is then closed."""
    before = door.bench.service.world.log.committed
    came = await exchange(door.port, sent + LAST)
    assert len(came.answers) == 1, came.raw
    assert came.statuses[0] in statuses
    assert came.answers[0].code
    assert SECRET.encode() not in came.raw
    assert door.bench.service.world.log.committed == before, "nothing was decided"
    await door.serves()


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_request_that_can_be_read_in_two_ways_is_refused_and_hung_up_on(door: Door, name: str) -> None:
    await refused(door, head(door, *UNREADABLE[name]) + b"5\r\nhello\r\n0\r\n\r\n", 400)


@pytest.mark.parametrize("name", LINES)
async def test_what_is_not_http_1_1_is_refused_and_hung_up_on(door: Door, name: str) -> None:
    line, more = LINES[name]
    await refused(door, head(door, more, line=line) + b"{}", 400)


async def test_a_request_without_a_host_is_refused(door: Door) -> None:
    await refused(door, head(door, b"Content-Length: 2", host=b"") + b"{}", 400)


BAD_CHUNKS = {
    "a size beyond 64 bits": b"ffffffffffffffffff\r\n{}",
    "a negative size": b"-1\r\n{}",
    "a size with a prefix": b"0x2\r\n{}\r\n0\r\n\r\n",
    "line feeds": b"2\n{}\n0\n\n",
    "a chunk longer than it says": b"1\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
async def test_chunks_that_are_none_decide_nothing_and_are_hung_up_on(door: Door, name: str) -> None:
    before = door.bench.service.world.log.committed
    came = await exchange(door.port, head(door, CHUNKED) + BAD_CHUNKS[name] + LAST)
    assert came.statuses in ([], [400]), came.raw
    assert door.bench.service.world.log.committed == before
    await door.serves()


async def test_a_body_without_a_length_is_not_taken_for_another_request(door: Door) -> None:
    came = await exchange(door.port, head(door) + door.good() + LAST)
    assert came.statuses == [400, 200, 200], "no body; then what stands there, which is a whole request of the client's"
    came = await exchange(door.port, head(door) + json.dumps(door.bench.query()).encode() + LAST)
    assert b"allow" not in came.raw


@pytest.mark.parametrize(
    "lines",
    [
        [b"X: " + SECRET.encode() + b"y" * MAX_HEAD_BYTES],
        [b"X: " + SECRET.encode() + b"y" * 5_000_000],
        [b"X: y"] * MAX_HEADERS,
        [b"X: y"] * 200_000,
        [b"Authorization: Bearer " + b"e" * 5_000_000],
        [b"a:"] * 20_000,
    ],
    ids=["large", "huge", "many", "very many", "a 5 MB key", "empty ones"],
)
async def test_a_flood_of_headers_is_refused(either: Door, lines: list[bytes]) -> None:
    came = await either.exchange(head(either, *lines))
    assert came.statuses in ([], [431]), came.raw[:200]
    assert SECRET.encode() not in came.raw
    await either.serves()


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES, 200_000, 5_000_000])
async def test_a_huge_address_is_refused(either: Door, size: int) -> None:
    came = await either.exchange(head(either, line=b"GET /" + SECRET.encode() + b"a" * size + b" HTTP/1.1"))
    assert came.statuses in ([], [431])
    assert SECRET.encode() not in came.raw
    await either.serves()


ROUTES = {
    "an absolute address": (b"POST http://evil.example/v1/decisions HTTP/1.1", 200),
    "an escaped letter": (b"POST /v1/%64ecisions HTTP/1.1", 200),
    "a query": (b"POST /v1/decisions?x=y HTTP/1.1", 200),
    "two slashes": (b"POST //v1/decisions HTTP/1.1", 404),
    "dots": (b"POST /livez/../v1/decisions HTTP/1.1", 404),
    "a slash at the end": (b"POST /v1/decisions/ HTTP/1.1", 404),
    "bad escapes": (b"POST /v1/%zz%ff%00 HTTP/1.1", 404),
    "another method": (b"PUT /v1/decisions HTTP/1.1", 405),
    "no method for a body": (b"GET /v1/decisions HTTP/1.1", 405),
    "trace": (b"TRACE /v1/decisions HTTP/1.1", 405),
    "options": (b"OPTIONS * HTTP/1.1", 404),
    "a file": (b"GET /../../../../etc/passwd HTTP/1.1", 404),
}


@pytest.mark.parametrize("name", ROUTES)
async def test_a_path_or_method_leads_to_its_route_or_to_a_problem(door: Door, name: str) -> None:
    line, status = ROUTES[name]
    body = json.dumps(door.bench.query()).encode()
    came = await exchange(door.port, head(door, b"Content-Length: %d" % len(body), line=line) + body + LAST)
    assert came.statuses == [status, 200]
    assert bool(came.answers[0].code) is (status != 200)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonp", "multipart/form-data; boundary=x", "*/*"])
async def test_a_body_of_another_kind_is_not_read(door: Door, kind: str) -> None:
    came = await exchange(door.port, door.good(Content_Type=kind) + LAST)
    assert (came.statuses, came.answers[0].code) == ([415, 200], "http.media_type")


@pytest.mark.parametrize("sent_twice", ["Authorization", "Content-Type", "Idempotency-Key"])
async def test_a_header_that_counts_is_sent_once(door: Door, sent_twice: str) -> None:
    value = {"Authorization": f"Bearer {door.bench.key}", "Content-Type": "application/json"}.get(sent_twice, "k")
    body = json.dumps(door.bench.query()).encode()
    lines = [f"{sent_twice}: {value}".encode()] * 2
    came = await exchange(door.port, head(door, b"Content-Length: %d" % len(body), *lines) + body + LAST)
    assert (came.statuses, came.answers[0].code) == ([400, 200], "http.header_repeated")


@pytest.mark.parametrize("kind", ["websocket", "h2c"])
async def test_an_upgrade_is_not_made(door: Door, kind: str) -> None:
    asked = request("/livez", method="GET", Connection="upgrade", Upgrade=kind)
    came = await exchange(door.port, asked + b"\x00\x01\x02" + LAST)
    assert came.statuses == [200]
    assert came.answers[0].headers["connection"] == "close"


async def test_what_stands_behind_the_body_is_no_header(door: Door) -> None:
    for tool in ("get_order", "create_refund"):
        trailer = b"Idempotency-Key: t-1\r\nX-Request-Id: trailed\r\nContent-Type: text/plain\r\n"
        body = chunked(json.dumps(door.bench.query(tool)).encode(), trailer=trailer)
        came = await exchange(door.port, head(door, CHUNKED) + body + LAST)
        assert came.statuses == [200, 200], "a conflict would mean that the key was taken from the trailer"
        assert came.answers[0].headers["x-request-id"] != "trailed"


@pytest.mark.parametrize("size", [300_000, 50_000_000])
async def test_a_body_beyond_the_limit_is_refused_however_it_is_sent(door: Door, size: int) -> None:
    declared = exchange(door.port, head(door, b"Content-Length: %d" % size), b'{"a":"', b"x" * 1000)
    parts = [b"%x\r\n%b\r\n" % (65536, b"x" * 65536)] * (size // 65536 + 1)
    streamed = exchange(door.port, head(door, CHUNKED), *parts)
    for came in await asyncio.gather(declared, streamed):
        assert (came.statuses, came.answers[0].code) == ([413], "query.too_large")
    await door.serves()


async def test_a_client_that_asks_first_is_told_to_go_on_only_when_it_may(door: Door) -> None:
    body = json.dumps(door.bench.query()).encode()
    fits = head(door, b"Expect: 100-continue", b"Content-Length: %d" % len(body))
    assert (await exchange(door.port, fits, body + LAST, pause_s=0.05)).statuses == [100, 200, 200]
    too_large = head(door, b"Expect: 100-continue", b"Content-Length: 5000000")
    assert (await exchange(door.port, too_large)).statuses == [413]
    stranger = request(body=b"{}", Expect="100-continue", Connection="close")
    assert (await exchange(door.port, stranger)).statuses == [401]


async def test_requests_that_come_ahead_are_answered_in_order_and_none_gets_the_answer_of_another(
    either: Door,
) -> None:
    asked = [
        either.good(X_Request_ID=f"r-{number}")
        if number % 2
        else request(f"/nowhere/{number}", X_Request_ID=f"r-{number}")
        for number in range(MAX_AHEAD)
    ]
    came = await either.exchange(b"".join(asked) + LAST)
    assert [answer.headers["x-request-id"] for answer in came.answers[:-1]] == [f"r-{n}" for n in range(MAX_AHEAD)]
    assert came.statuses[:-1] == [404, 200] * (MAX_AHEAD // 2)


async def test_more_requests_ahead_than_we_hold_are_hung_up_on(either: Door) -> None:
    came = await either.exchange(either.good() + request("/livez", method="GET") * 10_000)
    assert len(came.answers) <= MAX_AHEAD
    await either.serves()


@pytest.mark.parametrize("behind", [b"\0\1\2 garbage\r\n\r\n", b"POST / HTTP/1.1\r\nX: " + b"y" * 50_000])
async def test_no_refusal_overtakes_the_answer_to_an_earlier_request(door: Door, behind: bytes) -> None:
    came = await exchange(door.port, door.good(X_Request_ID="first") + behind)
    assert all(answer.headers.get("x-request-id") == "first" for answer in came.answers[:1]), came.raw


async def test_nothing_behind_a_last_request_is_answered(door: Door) -> None:
    came = await exchange(door.port, door.good(Connection="close") + door.good() * 3)
    assert came.statuses == [200]


DRIBBLES = {
    "nothing": (b"", b""),
    "line ends": (b"", b"\r\n"),
    "the first line": (b"GET /", b"a"),
    "headers": (b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\n", b"X: y\r\n"),
    "a body": (b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\nContent-Length: 200\r\n\r\n", b" "),
    "chunks": (b"POST /v1/decisions HTTP/1.1\r\nHost: pdp\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a trailer": (
        b"POST /livez HTTP/1.1\r\nHost: pdp\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        b"X: y\r\n",
    ),
    "line ends behind an answer": (b"GET /livez HTTP/1.1\r\nHost: pdp\r\n\r\n", b"\r\n"),
    "a second request": (b"GET /livez HTTP/1.1\r\nHost: pdp\r\n\r\nGET /l", b"i"),
}


async def test_who_sends_a_little_now_and_then_is_hung_up_on_in_time_while_others_are_served(either: Door) -> None:
    began = asyncio.get_running_loop().time()
    dribbling = {
        name: [asyncio.create_task(either.exchange(first, *[then] * 500, pause_s=0.1)) for _ in range(4)]
        for name, (first, then) in DRIBBLES.items()
    }
    await asyncio.sleep(0)
    await either.serves()
    early = [name for name, tasks in dribbling.items() if any(task.done() for task in tasks)]
    assert not early or asyncio.get_running_loop().time() - began > ARRIVES_S
    for name, tasks in dribbling.items():
        for came in await asyncio.gather(*tasks):
            assert came.statuses[-1:] in ([], [408], [401], [405], [200]), name
    assert asyncio.get_running_loop().time() - began < 15 * ARRIVES_S, "without a bound it takes 50 s"


@pytest.mark.parametrize("begun", [b"2\r\n{}\r\n0\r\nX: ", b"1;"], ids=["a trailer", "an extension of a chunk"])
async def test_what_is_neither_head_nor_body_is_bounded(either: Door, begun: bytes) -> None:
    little = await either.exchange(head(either, CHUNKED), begun, b"y" * (MAX_HEAD_BYTES + 1))
    assert little.statuses == [431], "without a bound it would be late (408), or read on for as long as it comes"
    much = await either.exchange(head(either, CHUNKED), begun, *[b"y" * 60_000] * 100)
    assert much.statuses in ([], [431])
    await either.serves()


def greedy(door: Door) -> socket.socket:
    """Return a client's end of a connection on which little is held for it on the way."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(PATIENCE_S)
    line.connect(("127.0.0.1", door.port))
    return door.tls.wrap_socket(line, server_hostname="127.0.0.1") if door.tls else line


async def test_who_does_not_take_its_answers_is_hung_up_on(either: Door) -> None:
    loop, taker = asyncio.get_running_loop(), await asyncio.to_thread(greedy, either)
    name = taker.getsockname()
    taker.setblocking(False)
    asked = request("/openapi.json", method="GET") * (MAX_AHEAD - 1)
    end = loop.time() + PATIENCE_S
    with taker:
        while any(getattr(c, "client", None) == name for c in either.server.server_state.connections) or asked:
            assert loop.time() < end, "the connection of a client that takes nothing is still open"
            with suppress(BlockingIOError, ConnectionError, ssl.SSLError):
                taker.send(asked or request("/openapi.json", method="GET"))
            asked = b""
            await asyncio.sleep(0.02)
    await either.serves()


async def test_idle_connections_in_great_number_keep_nobody_out(either: Door) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", either.port, ssl=either.tls) for _ in range(3 * MOST)]
    try:
        await either.serves()
        assert len(either.server.server_state.connections) <= MOST
    finally:
        for _, writer in idle:
            writer.transport.abort()


async def test_an_address_where_nobody_listens_is_not_taken_for_a_matter_of_certificates() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
    client = JsonClient(f"https://127.0.0.1:{port}", {}, 1000)
    with pytest.raises(NoReply) as away:
        await client.get("/livez", 5.0)
    await client.close()
    assert "certificate" not in str(away.value)
