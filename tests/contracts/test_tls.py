"""TLS of the listener, with real certificates: who gets in, who does not, and what either is told."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pdp.cli.lines import Renewal, client_at, must_not_be_overheard, renewing, tls_of, url_at
from pdp.cli.listener import server_for, watched
from pdp.errors import Fault
from pdp.net import JsonClient, NoReply, trusted
from pdp.settings import Settings
from pdp.tls import Files, listener_context
from tests.contracts.engines import until
from tests.contracts.test_listener import serving
from tests.pki import Authority, Pair, authority, pem_of

pytestmark = pytest.mark.promise("serve.tls")
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Place:
    """Two authorities, ours and a stranger's, and a certificate for this machine."""

    ours: Authority
    theirs: Authority
    server: Pair

    def files(self, **changed: Any) -> Files:
        """Return the files of a listener, good unless changed."""
        return msgspec.structs.replace(Files(self.server.certificate, self.server.key), **changed)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return certificates in files."""
    ours = authority(tmp_path / "ours")
    return Place(ours, authority(tmp_path / "theirs"), ours.issue("server"))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the scheme that the request came by."""
    await receive()
    body = b'"%s"' % scope["scheme"].encode()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def listening(files: Files, renewal: Renewal | None = None) -> AsyncIterator[str]:
    """Serve `echo` over TLS and yield its URL."""
    server = server_for(echo, "127.0.0.1", 0, grace_s=1, tls=(renewal or Renewal(files)).context)
    async with serving(server), watched(server):
        yield f"https://127.0.0.1:{server.port}"


async def asked(url: str, tls: ssl.SSLContext | None) -> str:
    """Return what a caller of `url` is told: the body, or why there is none."""
    client = JsonClient(url, {}, 1000, tls=tls)
    try:
        return (await client.get("/", PATIENCE_S)).body.decode()
    except NoReply as none:
        return str(none)
    finally:
        await client.close()


async def test_whoever_trusts_the_authority_is_served_over_tls_1_3(place: Place) -> None:
    context = trusted(place.ours.ca)
    async with listening(place.files()) as url:
        assert await asked(url, context) == '"https"'
        port = int(url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        writer.close()


@pytest.mark.parametrize("who", ["the usual authorities", "a stranger's authority"])
async def test_a_certificate_of_another_authority_is_not_trusted_and_the_sentence_says_what_to_do(
    place: Place, who: str
) -> None:
    async with listening(place.files()) as url:
        told = await asked(url, trusted(place.theirs.ca) if "stranger" in who else None)
    assert "its TLS certificate is not trusted" in told
    assert "PDP_CA_FILE" in told


async def test_an_expired_certificate_and_one_for_another_host_are_not_trusted(place: Place) -> None:
    for pair, why in ((place.ours.issue("old", days=-1), "expired"), (place.ours.issue("far", host="192.0.2.1"), "IP")):
        async with listening(place.files(certificate=pair.certificate, key=pair.key)) as url:
            told = await asked(url, trusted(place.ours.ca))
        assert "its TLS certificate is not trusted" in told
        assert why in told


async def test_with_client_authorities_only_a_caller_with_a_good_certificate_is_served(place: Place) -> None:
    files = place.files(client_ca=place.ours.ca)
    good, old, foreign = place.ours.issue("adapter"), place.ours.issue("old", days=-1), place.theirs.issue("mallory")
    async with listening(files) as url:
        assert await asked(url, trusted(place.ours.ca, good.certificate, good.key)) == '"https"'
        for pair in (None, old, foreign):
            shown = (pair.certificate, pair.key) if pair else ()
            told = await asked(url, trusted(place.ours.ca, *shown))
            assert '"https"' not in told
            assert "PDP_CLIENT_CERTIFICATE" in told, pair


async def test_an_older_tls_than_the_minimum_is_refused_and_taken_where_it_is_the_minimum(place: Place) -> None:
    old = trusted(place.ours.ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(place.files()) as url:
        assert "PDP_TLS_MINIMUM" in await asked(url, old)
    async with listening(place.files(minimum="1.2")) as url:
        assert await asked(url, old) == '"https"'


async def test_tls_1_1_is_never_taken(place: Place) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(place.ours.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with listening(place.files(minimum="1.2")) as url:
        assert "PDP_TLS_MINIMUM" in await asked(url, context)


async def test_plain_http_on_a_tls_port_gets_no_answer(place: Place) -> None:
    async with listening(place.files()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP" not in await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        assert "closed" in await asked(url.replace("https", "http"), None)


async def test_a_handshake_that_does_not_end_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdp.cli.listener.ARRIVES_WITHIN_S", 0.3)
    async with listening(place.files()) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"\x16\x03\x01")
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


def _renewed(place: Place, pair: Pair) -> None:
    """Replace the files of the listener as tools do: by renaming new ones over them."""
    for new, old in ((pair.certificate, place.server.certificate), (pair.key, place.server.key)):
        new.replace(old)


def serial(url: str, ca: Path) -> int:
    """Return the serial number of the certificate that is shown at `url`."""
    port = int(url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line,
        trusted(ca).wrap_socket(line, server_hostname="127.0.0.1") as spoken,
    ):
        shown: Any = spoken.getpeercert()
        return int(shown["serialNumber"], 16)


async def test_a_renewed_certificate_is_shown_without_a_restart(place: Place) -> None:
    renewal = Renewal(place.files())
    async with listening(place.files(), renewal) as url, renewing(renewal, 0.02):
        before = await asyncio.to_thread(serial, url, place.ours.ca)
        _renewed(place, place.ours.issue("next"))
        async with asyncio.timeout(PATIENCE_S):
            while await asyncio.to_thread(serial, url, place.ours.ca) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_a_certificate_with_another_kind_of_key_is_shown_instead_of_the_old_one(place: Place) -> None:
    """A context that had both would go on to show the old one to whoever can read it."""
    renewal, shown = Renewal(place.files()), set()
    async with listening(place.files(), renewal) as url:
        for key in (None, rsa.generate_private_key(65537, 2048), None):
            shown.add(await asyncio.to_thread(serial, url, place.ours.ca))
            _renewed(place, place.ours.issue("next", key=key))
            await renewal.look()
        shown.add(await asyncio.to_thread(serial, url, place.ours.ca))
    assert len(shown) == 4


async def test_a_certificate_that_was_replaced_while_it_was_read_is_noticed_at_the_first_look(place: Place) -> None:
    """A pipe in its place shows when reading has begun, and holds it up until the file is another."""
    file, pipes = place.server.certificate, list[int]()
    pem = file.read_bytes()
    file.unlink()
    os.mkfifo(file)
    loading = asyncio.create_task(asyncio.to_thread(Renewal, place.files()))

    def begun() -> bool:
        with suppress(OSError):  # nobody reads yet
            pipes.append(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
        return bool(pipes)

    await until(begun, PATIENCE_S)
    new = file.with_suffix(".new")
    new.write_bytes(pem)
    new.replace(file)
    with os.fdopen(pipes[0], "wb") as pipe:
        pipe.write(pem)
    renewal = await loading
    before = renewal.context()
    await renewal.look()
    assert renewal.context() is not before


async def test_half_of_a_renewed_pair_is_not_taken_and_what_was_shown_goes_on(place: Place) -> None:
    renewal = Renewal(place.files())
    async with listening(place.files(), renewal) as url:
        before = await asyncio.to_thread(serial, url, place.ours.ca)
        pair = place.ours.issue("next")
        pair.certificate.replace(place.server.certificate)
        for _ in range(2):
            with pytest.raises(Fault, match="belong together"):
                await renewal.look()
        place.server.key.unlink()
        with pytest.raises(Fault, match="check the path"):
            await renewal.look()
        assert await asyncio.to_thread(serial, url, place.ours.ca) == before
        pair.key.replace(place.server.key)
        await renewal.look()
        assert await asyncio.to_thread(serial, url, place.ours.ca) != before


async def test_client_authorities_hold_on_after_a_renewal_and_one_that_is_taken_out_is_trusted_no_more(
    place: Place,
) -> None:
    ca = place.ours.folder / "clients.pem"
    ca.write_bytes(place.ours.ca.read_bytes() + place.theirs.ca.read_bytes())
    renewal = Renewal(place.files(client_ca=ca))
    ours, theirs = place.ours.issue("adapter"), place.theirs.issue("other")
    async with listening(place.files(), renewal) as url:

        async def served() -> list[bool]:
            contexts = [
                trusted(place.ours.ca),
                *(trusted(place.ours.ca, pair.certificate, pair.key) for pair in (ours, theirs)),
            ]
            return [await asked(url, context) == '"https"' for context in contexts]

        assert await served() == [False, True, True]
        _renewed(place, place.ours.issue("next"))
        await renewal.look()
        assert await served() == [False, True, True]
        ca.write_bytes(place.ours.ca.read_bytes())
        await renewal.look()
        assert await served() == [False, True, False]


async def test_a_connection_that_ends_within_an_answer_is_not_taken_for_a_matter_of_certificates(place: Place) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}")
        writer.transport.abort()

    async with await asyncio.start_server(half, "127.0.0.1", 0, ssl=listener_context(place.files())) as server:
        port = server.sockets[0].getsockname()[1]
        told = await asked(f"https://127.0.0.1:{port}", trusted(place.ours.ca))
    assert "repl" in told, "each event loop has its own words for it"
    assert "certificate" not in told


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lambda p: p.server.key.chmod(0o640), "run chmod 600 on it"),
        (lambda p: p.server.key.unlink(), "check the path and its owner"),
        (lambda p: p.server.key.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1()))), "belong together"),
        (lambda p: p.server.key.write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1()), b"x")), "passphrase"),
        (lambda p: p.server.certificate.write_text("no certificate"), "belong together"),
        (lambda p: p.ours.ca.write_text("no authority"), "name a file of PEM certificates"),
        (lambda p: p.ours.ca.unlink(), "name a file of PEM certificates"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(place: Place, breaks: Any, says: str) -> None:
    files = place.files(client_ca=place.ours.ca)
    listener_context(files)
    breaks(place)
    with pytest.raises(Fault, match=says):
        listener_context(files)


def test_settings_with_half_of_what_tls_takes_are_refused(tmp_path: Path) -> None:
    for half in ("tls_certificate", "tls_key", "tls_client_ca"):
        with pytest.raises(Fault, match="set both"):
            tls_of(Settings().model_copy(update={half: tmp_path / "x"}))
    with pytest.raises(Fault, match="belong together"):
        client_at(Settings(client_certificate=tmp_path / "x"), "https://pdp.example", "k", 1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "pdp.example"])  # noqa: S104  # nothing listens there
def test_nothing_is_served_beyond_this_machine_in_the_clear_unless_an_unsafe_setting_says_so(
    host: str, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    open_line = Settings(host=host)
    with pytest.raises(Fault, match="PDP_TLS_CERTIFICATE"):
        must_not_be_overheard(open_line)
    must_not_be_overheard(open_line.model_copy(update={"unsafe_plain_http": True}))
    assert "unsafe_plain_http" in caplog.text
    must_not_be_overheard(Settings(host=host, tls_certificate=place.server.certificate, tls_key=place.server.key))
    for here in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        must_not_be_overheard(Settings(host=here))


def test_a_url_says_how_it_is_reached(place: Place) -> None:
    assert url_at(Settings(), 1) == "http://127.0.0.1:1"
    assert url_at(Settings(host="::1", tls_certificate=place.server.certificate), 1) == "https://[::1]:1"
