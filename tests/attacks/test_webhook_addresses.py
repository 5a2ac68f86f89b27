"""Whoever may set a webhook's URL, or the name behind it, gets no request of ours into a private network."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pdp.addresses import NotPublic, is_public, look_up, public_addresses
from pdp.errors import Fault
from pdp.net import NoReply
from pdp.outward import Outward

pytestmark = pytest.mark.promise("notify.outside")
WITHIN_S = 10.0

INSIDE = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0",  # noqa: S104  # refused, not bound
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fd00::1", "fdff:ffff::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1",
    "2001:db8::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "64:ff9b::a00:1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:a00:1::", "2002:7f00:1::1", "2001:0:4136:e378::1",
]  # fmt: skip
OUTSIDE = ["1.1.1.1", "93.184.215.14", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
SPELLED = ["localhost", "127.1", "0x7f.0.0.1", "2130706433", "017700000001", "::1", "::ffff:127.0.0.1"]


@dataclass
class Door:
    """A server that counts who connects and answers nothing but 204."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        self.heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def door(tls: ssl.SSLContext | None = None) -> AsyncIterator[Door]:
    """Run a server on this machine."""
    found = Door()
    server = await asyncio.start_server(found, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


async def here(_host: str, _port: int) -> list[str]:
    """Answer as a name server that leads everybody to this machine."""
    return ["127.0.0.1"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", SPELLED)
async def test_however_this_machine_is_spelled_nothing_is_sent_to_it(host: str) -> None:
    async with door() as inside:
        shown = f"[{host}]" if ":" in host else host
        with pytest.raises(NotPublic):
            await Outward().post(f"https://{shown}:{inside.port}/", {}, b"{}", WITHIN_S)
        assert inside.heard == []


async def test_with_the_guard_off_the_same_post_arrives() -> None:
    async with door() as inside:
        reply = await Outward(unsafe_private=True).post(f"http://localhost:{inside.port}/a?b=c", {}, b"{}", WITHIN_S)
    assert (reply.status, inside.heard[0].split(b"\r\n")[0]) == (204, b"POST /a?b=c HTTP/1.1")


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_refused_even_if_it_also_leads_outside(address: str) -> None:
    async def two_faced(_host: str, _port: int) -> list[str]:
        return ["1.1.1.1", address]

    with pytest.raises(NotPublic, match="not a public address"):
        await public_addresses("hooks.example", 443, two_faced)


async def test_the_name_is_looked_up_once_and_the_connection_goes_where_it_led() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return await here(host, port)

    async with door() as inside:
        reply = await Outward(unsafe_private=True, look=rebinding).post(
            f"http://no-such-host.invalid:{inside.port}/", {}, b"{}", WITHIN_S
        )
    assert (reply.status, asked) == (204, ["no-such-host.invalid"])
    assert f"no-such-host.invalid:{inside.port}".encode() in inside.heard[0]


async def test_a_name_that_leads_nowhere_is_no_reply() -> None:
    with pytest.raises(NoReply, match="cannot be looked up"):
        await Outward().post("https://no-such-host.invalid/", {}, b"{}", WITHIN_S)


async def test_what_went_wrong_is_said_without_the_path_which_may_be_a_secret() -> None:
    async with door() as gone:
        pass
    with pytest.raises(NoReply, match="localhost") as told:
        await Outward(unsafe_private=True).post(f"http://localhost:{gone.port}/T0K3N?a=hunter22", {}, b"{}", WITHIN_S)
    assert not {word for word in ("T0K3N", "hunter22") if word in str(told.value)}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/T0K3N",
        "https://user:T0K3N@hooks.example/",
        "https://hooks.example:99999/T0K3N",
        "ftp://hooks.example/T0K3N",
        "https://[::1/T0K3N",
    ],
)
async def test_what_is_wrong_with_a_url_is_said_without_what_may_be_a_secret_in_it(url: str) -> None:
    with pytest.raises(Fault) as told:
        Outward().check(url)
    assert "T0K3N" not in str(told.value)


async def test_the_system_looks_names_up() -> None:
    assert "127.0.0.1" in await look_up("localhost", 80)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "https:///x",
        "https://user:pw@hooks.example/",
        "https://[x/",
        "x",
    ],
)
def test_a_url_that_is_not_an_https_one_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Fault):
        Outward().check(url)


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return the TLS of a server that is hooks.example, by an authority that SSL_CERT_FILE says we trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(*plain))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, tmp_path / "key.pem")
    return context


async def test_the_certificate_is_that_of_the_name_not_of_the_address(certified: ssl.SSLContext) -> None:
    outward = Outward(unsafe_private=True, look=here)
    async with door(certified) as receiver:
        assert (await outward.post(f"https://hooks.example:{receiver.port}/", {}, b"{}", WITHIN_S)).status == 204
        with pytest.raises(NoReply, match="its TLS certificate is not trusted"):
            await outward.post(f"https://other.example:{receiver.port}/", {}, b"{}", WITHIN_S)
    assert len(receiver.heard) == 1


async def test_who_has_no_certificate_we_trust_gets_nothing(
    certified: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with door(certified) as receiver:
        url = f"https://hooks.example:{receiver.port}/"
        with pytest.raises(NoReply, match="its TLS certificate is not trusted"):
            await Outward(unsafe_private=True, look=here).post(url, {}, b"{}", WITHIN_S)
    assert receiver.heard == []
