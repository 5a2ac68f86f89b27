"""What an issuer says about itself: OpenID Connect Discovery, and RFC 8414 for issuers that only speak OAuth."""

from typing import Any
from urllib.parse import urlsplit

from ..net import Fetcher, Unfetchable
from .issuers import Issuer, is_loopback, is_protected

WELL_KNOWN = ("openid-configuration", "oauth-authorization-server")
FETCH_TIMEOUT_S = 5.0
MAX_DOCUMENT = 256 * 1024  # bytes


async def metadata_of(issuer: Issuer, fetcher: Fetcher) -> dict[str, Any]:
    """Return an issuer's metadata. Raises `Unfetchable`, and `ValueError` when it names another issuer."""
    failure: Unfetchable | None = None
    for name in WELL_KNOWN:
        try:
            metadata = await fetcher.json(_well_known(issuer.issuer, name), MAX_DOCUMENT, FETCH_TIMEOUT_S)
        except Unfetchable as error:
            failure = error
            continue
        if not isinstance(metadata, dict) or metadata.get("issuer") != issuer.issuer:
            raise ValueError("its metadata names another issuer")  # RFC 8414, section 3.3
        return metadata
    raise failure or Unfetchable("nothing to discover")


def endpoint(metadata: dict[str, Any], name: str, issuer: Issuer) -> str:
    """Return a URL of an issuer's metadata. Raises `ValueError` unless it leads safely to the issuer."""
    url = metadata.get(name)
    if not isinstance(url, str) or not is_protected(url):
        raise ValueError(f"its metadata has no `{name}` over https")
    if is_loopback(url) and not issuer.is_loopback:
        raise ValueError(f"its `{name}` points into this machine")
    return url


def _well_known(issuer: str, name: str) -> str:
    """Return where metadata is: OpenID appends to the issuer, RFC 8414, section 3, inserts before its path."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    if name == "openid-configuration":
        return f"{parts.scheme}://{parts.netloc}{path}/.well-known/{name}"
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{path}"
