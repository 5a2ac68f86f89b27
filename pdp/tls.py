"""TLS, both ends: what the service shows and demands, whom its callers trust, and why it failed, in words.

The files are what every tool writes: PEM, the chain in one file, the key in another that only its owner reads.
"""

import ssl
import stat
from pathlib import Path
from typing import Literal

from msgspec import Struct

from .errors import Fault

Version = Literal["1.2", "1.3"]
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
HOW_TO_SHOW = (
    "Show a certificate as PDP_CLIENT_CERTIFICATE and PDP_CLIENT_KEY to a command, or as "
    "tls=trusted(certificate=..., key=...) to an adapter"
)


class Files(Struct, frozen=True):
    """What a listener needs. With `client_ca` whoever connects must show a certificate that one of these CAs signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    minimum: Version = "1.3"


def files_of(certificate: Path | None, key: Path | None, client_ca: Path | None, minimum: Version) -> Files | None:
    """Return the files of a listener, None for plain HTTP. Raises `Fault` when one is there without the others."""
    if certificate and key:
        return Files(certificate, key, client_ca, minimum)
    if certificate or key or client_ca:
        raise Fault("TLS takes PDP_TLS_CERTIFICATE and PDP_TLS_KEY: set both, or none of PDP_TLS_*.")
    return None


def listener_context(files: Files) -> ssl.SSLContext:
    """Return the context of a listener. Raises `Fault` naming the file that cannot be used, and what to do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[files.minimum]
    context.set_alpn_protocols(["http/1.1"])  # all that we speak
    if files.client_ca:
        trust(context, files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    show(context, files.certificate, files.key)
    return context


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Let a context take certificates that the CAs in a file signed. Raises `Fault`."""
    try:
        context.load_verify_locations(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise Fault(f"The CA file {ca} cannot be used ({_what(error)}): name a file of PEM certificates.") from None


def show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let a context show a certificate. Raises `Fault` for a key that others may read, or that is not its key."""
    must_be_private(key)
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (OSError, ssl.SSLError) as error:
        raise Fault(
            f"The certificate {certificate} and the key {key} cannot be used ({_what(error)}): they must be PEM and "
            "belong together, the certificate first in its chain."
        ) from None


def must_be_private(key: Path) -> None:
    """Raise `Fault` for a key file that is not there or that others may read."""
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
    except OSError as error:
        raise Fault(f"The TLS key {key} cannot be read ({error.strerror}): check the path and its owner.") from None
    if mode & 0o077:
        raise Fault(f"Others may read the TLS key {key}: run chmod 600 on it, and get a new certificate for a new key.")


def only_ca(ca: Path) -> ssl.SSLContext:
    """Return a caller's context that trusts the CAs in a file and no others. Raises `Fault`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the host's name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    trust(context, ca)
    return context


def said(error: BaseException | None, *, over_tls: bool, heard: bool = False) -> str:
    """Return why a connection failed or ended: words of ours for TLS, where OpenSSL's say nothing to an operator.

    A server on asyncio ends a handshake that it does not like without saying why, so what it may be has to be guessed;
    not where it was `heard` on this connection, for then it took our certificate.
    """
    there = not isinstance(error, ConnectionRefusedError)
    if over_tls and there and not heard and (error is None or isinstance(error, ConnectionError)):
        return (
            "by the server; over TLS that is how it refuses a caller without a certificate that its PDP_TLS_CLIENT_CA "
            f"signed, and one older than its PDP_TLS_MINIMUM. {HOW_TO_SHOW}"
        )
    if error is None:
        return "by the server"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its TLS certificate is not trusted ({error.verify_message}): name the CA that signed it, as PDP_CA_FILE "
            "to a command or as tls=trusted(ca=...) to an adapter"
        )
    reason = getattr(error, "reason", None) or ""
    if isinstance(error, ssl.SSLError) and "CERTIFICATE" in reason:  # the other end's alert, about ours
        return (
            f"it does not take our TLS certificate ({_what(error)}), which its PDP_TLS_CLIENT_CA must have signed. "
            f"{HOW_TO_SHOW}"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({_what(error)}): is it http, or an older TLS than is taken?"
    return f"{type(error).__name__} {error}"


def _no_passphrase() -> str:
    raise Fault("The TLS key has a passphrase, and nobody is there to type it: write the key without one, mode 0600.")


def _what(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else str(error.strerror or error)
