"""The adapter's connections to the PDP: kept alive, renewed, bounded, and over TLS only with whom the name says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pdp.dev.loopback import loopback_socket
from pdp.net import AT_ONCE, JsonClient, NoReply, Reply

pytestmark = pytest.mark.promise("adapter.connections")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[str]:
    """Listen on loopback, and yield the URL."""

    serving: set[asyncio.Task[None] | None] = set()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(quietly, "127.0.0.1", port, ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield f"{'https://localhost' if context else 'http://127.0.0.1'}:{port}"
    server.close()
    await asyncio.gather(*(task for task in serving if task))  # our side has closed, so theirs ends


async def test_many_posts_share_one_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            head, body = await read_request(reader)
            assert head.startswith(b"POST /base/p HTTP/1.1\r\n")
            assert b"authorization: bearer k\r\n" in head.lower()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with listening(serve) as url:
        client = JsonClient(f"{url}/base/", {"Authorization": "Bearer k"}, 1000)
        replies = [await client.post("/p", f"{number}".encode(), 5.0) for number in range(20)]
        await client.close()
    assert replies == [Reply(200, f"{number}".encode()) for number in range(20)]
    assert connections == 1


async def test_no_reply_reaches_another_request() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            if body == b"slow":
                await asyncio.sleep(0.1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with listening(serve) as url:
        client = JsonClient(url, {}, 1000)
        for _ in range(5):
            with pytest.raises(NoReply):
                await client.post("/", b"slow", 0.02)
            assert (await client.post("/", b"fast", 5.0)).body == b"fast"
        await client.close()


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
            await writer.drain()

    async with listening(serve) as url:
        client = JsonClient(url, {}, 1000)
        for number in range(10):
            assert (await client.post("/", b"%d" % number, 5.0)).body == b"%d" % number
        await client.close()


async def test_a_request_left_unheard_on_an_old_connection_is_sent_once_more() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await read_request(reader))[1])
        writer.write(OK)
        await read_request(reader)  # heard, and not answered

    async with listening(serve) as url:
        client = JsonClient(url, {}, 1000)
        for number in range(3):
            assert (await client.post("/", b"%d" % number, 5.0)).status == 200
        await client.close()
    assert heard == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "written",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
)
async def test_every_framing_of_a_reply_is_read(written: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(written)

    async with listening(serve) as url:
        client = JsonClient(url, {}, 1000)
        assert [await client.post("/", b"x", 5.0) for _ in range(2)] == [Reply(200, b"{}")] * 2
        await client.close()


async def test_more_posts_than_connections_wait_their_turn() -> None:
    open_now, most = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            while True:
                await read_request(reader)
                writer.write(OK)
        finally:
            open_now -= 1

    async with listening(serve) as url:
        client = JsonClient(url, {}, 1000)
        replies = await asyncio.gather(*(client.post("/", b"x", 10.0) for _ in range(4 * AT_ONCE)))
        await client.close()
    assert {reply.status for reply in replies} == {200}
    assert most <= AT_ONCE


async def test_a_unix_socket_is_used_instead_of_the_host(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "pdp.sock")
    client = JsonClient("http://pdp", {}, 1000, tmp_path / "pdp.sock")
    assert not client.is_open_line
    assert (await client.post("/", b"x", 5.0)).status == 200
    await client.close()
    server.close()


def test_one_client_serves_one_event_loop_after_another() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)

    async def once() -> int:
        async with listening(serve, port=port) as url:
            if not clients:
                clients.append(JsonClient(url, {}, 1000))
            status = (await clients[0].post("/", b"x", 5.0)).status
            await clients[0].close()
            return status

    clients: list[JsonClient] = []
    with loopback_socket() as bound:
        port = bound.getsockname()[1]
    assert [asyncio.run(once()) for _ in range(2)] == [200, 200]


def certificate(folder: Path, name: str) -> Path:
    """Make a certificate for `name` that signs itself; returns a file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + built.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("name", "trusted", "answered"),
    [("localhost", True, True), ("localhost", False, False), ("other.example", True, False)],
)
async def test_tls_goes_only_to_whom_a_trusted_certificate_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, answered: bool
) -> None:
    file = certificate(tmp_path, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)

    async with listening(serve, context) as url:
        client = JsonClient(url, {}, 1000)
        if answered:
            assert (await client.post("/", b"x", 5.0)).status == 200
        else:
            with pytest.raises(NoReply, match="its TLS certificate is not trusted"):
                await client.post("/", b"x", 5.0)
        await client.close()
