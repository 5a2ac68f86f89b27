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
from ..tls import Files, files_of, listener_context, show

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
async def renewing(context: ssl.SSLContext, files: Files, every_s: float = RENEWED_WITHIN_S) -> AsyncIterator[None]:
    """Show a renewed certificate from the next connection on, while the context lasts; client CAs stay as they are."""
    looking = Recurring("reading the TLS certificate again", Renewal(context, files).look, every_s)
    looking.start(at_once=False)
    try:
        yield
    finally:
        await looking.close()


class Renewal:
    """Notices that the certificate or its key was replaced."""

    def __init__(self, context: ssl.SSLContext, files: Files) -> None:
        self._context = context
        self._files = files
        self._shown = self._stamp()

    async def look(self) -> None:
        """Take new files into use, whole or not at all. Raises `Fault` for a pair that does not work; the old stays."""
        found = self._stamp()
        if found == self._shown:
            return
        listener_context(self._files)  # half a pair in the live context would end every handshake
        show(self._context, self._files.certificate, self._files.key)
        self._shown = found
        logger.warning("the TLS certificate %s was renewed and is shown from now on", self._files.certificate)

    def _stamp(self) -> list[tuple[int, int, int]]:
        try:
            found = [path.stat() for path in (self._files.certificate, self._files.key)]
        except OSError as error:
            raise Fault(f"{error.filename} is gone: put the certificate and its key back.") from None
        return [(one.st_mtime_ns, one.st_ino, one.st_size) for one in found]


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
        raise Fault(f"{place} is neither https nor this machine: what you show it could be read on the way.")
    return client


def secret_in(path: Path) -> str:
    """Return the key or token in a file. Raises `Fault`."""
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path} holds no key or token ({type(error).__name__}): check the path.") from None
