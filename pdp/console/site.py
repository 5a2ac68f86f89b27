"""What the console is and where: its address, and the client it is at the issuer where people sign in."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import Fault
from ..identity.issuers import Issuer, is_protected

ROOT = "/console"
MAX_SECRET_BYTES = 4096


@dataclass(frozen=True)
class Client:
    """The console's OAuth client (RFC 6749, section 2). `secret` is None for a public one."""

    issuer: Issuer
    id: str
    secret: str | None
    resource: str | None
    scope: str


@dataclass(frozen=True)
class Site:
    """The console at `origin`, such as `https://pdp.example`."""

    origin: str
    client: Client

    @property
    def url(self) -> str:
        """Return the address of its first page."""
        return self.origin + ROOT

    @property
    def is_secure(self) -> bool:
        """Say whether it is reached over TLS; over http it is on this machine only."""
        return self.origin.startswith("https:")


def site_at(public_url: str | None, client: Client) -> Site:
    """Return the site. Raises `Fault` unless it is an origin reached over https or on this machine."""
    parts = urlsplit((public_url or "").rstrip("/"))
    if not is_protected(parts.geturl()) or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise Fault(
            "The console needs PDP_PUBLIC_URL: scheme and host only, https unless it is on this machine, "
            "such as https://pdp.example."
        )
    return Site(f"{parts.scheme}://{parts.netloc}".lower(), client)


def client_of(
    issuers: Sequence[Issuer], *, issuer: str, name: str | None, secret: Path | None, resource: str | None, scope: str
) -> Client:
    """Return the console's client. Raises `Fault` for one whose tokens would not be accepted."""
    known = next((one for one in issuers if one.issuer == issuer), None)
    if known is None:
        raise Fault(f"PDP_CONSOLE_ISSUER is {issuer}, which is not in PDP_ISSUERS: add it there.")
    if not name:
        raise Fault("PDP_CONSOLE_CLIENT_ID is missing: register the console at the issuer, and name its client here.")
    if name not in known.direct_clients and not known.unsafe_any_client:
        raise Fault(f"PDP_ISSUERS: add {name} to `direct_clients` of {issuer}: people use the console themselves.")
    if "openid" not in scope.split():
        raise Fault("PDP_CONSOLE_SCOPE lacks openid: without it nobody tells who signed in.")
    return Client(known, name, _secret(secret) if secret else None, resource, scope)


def _secret(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Fault(f"Others may read PDP_CONSOLE_CLIENT_SECRET_FILE {path}: run chmod 600 on it.")
        with path.open() as file:
            return file.read(MAX_SECRET_BYTES).strip()
    except OSError as error:
        raise Fault(f"PDP_CONSOLE_CLIENT_SECRET_FILE {path} cannot be read: {error.strerror}.") from None
