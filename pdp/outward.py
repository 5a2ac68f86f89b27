"""Posting to whom an operator names: over TLS, to public addresses, without redirects, for a small answer."""

import ssl
from urllib.parse import urlsplit

from .addresses import Lookup, look_up, public_addresses
from .errors import Fault
from .net import JsonClient, NoReply, Reply, trusted

MAX_REPLY = 16 * 1024  # bytes: only the status is read


EXAMPLE = "give one such as https://hooks.example/approvals, without a user or password."


class Outward:
    """Posts outward. `unsafe_private` lets it go anywhere, over an open line too."""

    def __init__(self, *, unsafe_private: bool = False, look: Lookup = look_up) -> None:
        self._unsafe = unsafe_private
        self._look = look
        self._tls: ssl.SSLContext | None = None

    def check(self, url: str) -> tuple[str, int]:
        """Return the host and port of a URL that may be posted to.

        Raises `Fault` saying what is wrong with it, by its host alone: the rest of it may be a secret.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Fault(f"A webhook's URL cannot be read: {EXAMPLE}") from None
        if parts.scheme not in {"https", "http"} or not host or parts.username is not None:
            raise Fault(f"The URL of the webhook at {host or 'no host'} is not one of a receiver: {EXAMPLE}")
        if parts.scheme == "http" and not self._unsafe:
            raise Fault(
                f"The URL of the webhook at {host} is not https: what is sent there could be read and replayed."
            )
        return host, port or (443 if parts.scheme == "https" else 80)

    async def post(self, url: str, headers: dict[str, str], body: bytes, within_s: float) -> Reply:
        """Post JSON and return the reply, whatever its status. Raises `NotPublic` or `NoReply`.

        Each post has a connection of its own, to the first address that was checked for it: the one the system prefers.
        """
        host, port = self.check(url)
        try:
            addresses = await (self._look(host, port) if self._unsafe else public_addresses(host, port, self._look))
        except (OSError, UnicodeError) as error:
            raise NoReply(f"{host} cannot be looked up: {type(error).__name__} {error}") from None
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        place, tls = f"{parts.scheme}://{parts.netloc}", self._roots() if parts.scheme == "https" else None
        client = JsonClient(place, headers, MAX_REPLY, address=addresses[0], tls=tls)
        try:
            return await client.post(path, body, within_s)
        except NoReply as away:
            raise NoReply(str(away).replace(path, host), late=away.late) from None  # a path may be a secret
        finally:
            await client.close()

    def _roots(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = trusted()
        return self._tls
