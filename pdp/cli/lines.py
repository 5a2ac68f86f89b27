"""Lines in and out: on which terms the service listens, and how commands reach one that runs."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..addresses import is_this_machine
from ..errors import Fault
from ..net import JsonClient, trusted
from ..recurring import Recurring
from ..settings import Settings
from ..tls import Files, files_of, listener_context

logger = logging.getLogger(__name__)

RENEWED_WITHIN_S = 10.0  # a certificate is renewed weeks before it ends; nobody waits for this


def tls_of(settings: Settings) -> Files | None:
    """Return the TLS files the settings name, None for plain HTTP. Raises `Fault` for half of them."""
    return files_of(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, settings.tls_minimum)


def url_at(settings: Settings, port: int) -> str:
    """Return the URL of a service that these settings started on `port`."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_certificate else 'http'}://{host}:{port}"


def must_not_be_overheard(settings: Settings) -> None:
    """Raise `Fault` when keys and tokens would cross a network in the clear; warn when that is wanted."""
    if is_this_machine(settings.host) or tls_of(settings):
        return
    if not settings.unsafe_plain_http:
        raise Fault(
            f"PDP_HOST is {settings.host}, beyond this machine, and there is no TLS: set PDP_TLS_CERTIFICATE and "
            "PDP_TLS_KEY. Where a proxy in front ends TLS, and nobody else is on that network, PDP_UNSAFE_PLAIN_HTTP=1."
        )
    logger.warning("unsafe_plain_http: keys and tokens can be read on the way to %s", settings.host)


@asynccontextmanager
async def renewing(renewal: "Renewal", every_s: float = RENEWED_WITHIN_S) -> AsyncIterator[None]:
    """Look for renewed TLS files while the context lasts."""
    looking = Recurring("reading the TLS certificate again", renewal.look, every_s)
    looking.start(at_once=False)
    try:
        yield
    finally:
        await looking.close()


class Renewal:
    """The TLS context of the next connection: made anew when a file was replaced.

    Nothing is loaded into one that serves: it would keep a chain for each kind of key, and every CA it ever trusted.
    Raises `Fault` for files that cannot be used.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._shown = self._stamps()  # before they are read: what is replaced meanwhile is noticed
        self._context = listener_context(files)

    def context(self) -> ssl.SSLContext:
        """Return the newest context."""
        return self._context

    async def look(self) -> None:
        """Take new files into use, whole or not at all. Raises `Fault` for some that do not work; the old stay."""
        found = self._stamps()
        if found != self._shown:
            self._context = listener_context(self._files)
            self._shown = found
            logger.warning("the TLS files were renewed: %s is shown from now on", self._files.certificate)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        files = self._files
        return [_stamp(path) for path in (files.certificate, files.key, files.client_ca) if path]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None  # who reads it says why
    return (found.st_mtime_ns, found.st_ino, found.st_size)


def place_of(settings: Settings, url: str | None) -> str:
    """Return where a command finds the service: `url`, PDP_PUBLIC_URL, or where the settings let it listen."""
    return url or settings.public_url or here(settings)


def here(settings: Settings) -> str:
    """Return where a command on the same machine finds the service that these settings start."""
    everywhere = settings.host in {"0.0.0.0", "::"}  # noqa: S104  # to listen at, not to connect to
    return url_at(settings.model_copy(update={"host": "127.0.0.1"}) if everywhere else settings, settings.port)


def client_at(settings: Settings, place: str, bearer: str, most: int) -> JsonClient:
    """Return a client that shows `bearer`, unless empty, to the service at `place`; replies have `most` bytes at most.

    Raises `Fault` where the bearer could be read on the way, and for TLS files that cannot be used.
    """
    given = settings.ca_file, settings.client_certificate, settings.client_key
    tls = trusted(*given) if any(given) else None
    client = JsonClient(place, {"Authorization": f"Bearer {bearer}"} if bearer else {}, most, tls=tls)
    if bearer and client.is_open_line:
        raise Fault(f"{place} is neither https nor this machine: your token or the key could be read on the way.")
    return client


def secret_in(path: Path) -> str:
    """Return the key or token in a file. Raises `Fault`."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path} holds no key or token ({type(error).__name__}): check the path.") from None
