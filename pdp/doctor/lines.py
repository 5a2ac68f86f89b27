"""Lines: who may listen in, how long the certificate lasts, and which settings weaken what is promised."""

import ssl
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from ..addresses import is_this_machine
from ..errors import Fault
from ..tls import Files, listener_context
from .finding import Finding, fail, failed, ok, warn

RENEW_BEFORE = timedelta(days=21)  # renewal every 60 of 90 days leaves 30; by now it has failed a few times


def listener(host: str, *, tls: bool, unsafe_plain_http: bool) -> Finding:
    """Check that keys and tokens do not cross a network in the clear."""
    if tls or is_this_machine(host):
        return ok("listener", f"{host} with TLS" if tls else f"{host} is this machine only")
    if unsafe_plain_http:
        return warn("listener", f"{host} without TLS, as PDP_UNSAFE_PLAIN_HTTP allows", "See that a proxy ends TLS.")
    return fail("listener", f"{host} is beyond this machine, without TLS", "Set PDP_TLS_CERTIFICATE and PDP_TLS_KEY.")


def certificate(files: Files, now: datetime) -> Finding:
    """Check that the TLS files work together, and for how long."""
    try:
        listener_context(files)
        return lasting("tls", files.certificate, now)
    except Fault as fault:
        return failed("tls", fault)


def lasting(check: str, file: Path, now: datetime) -> Finding:
    """Check how long a certificate (the first in a PEM file) lasts. Raises `Fault` for a file that holds none."""
    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError, ssl.SSLError) as error:
        raise Fault(f"{file} holds no certificate ({type(error).__name__}).") from None
    until = f"{file} lasts until {ends:%Y-%m-%d %H:%M} UTC"
    advice = "Renew it and put both files in place; the service takes them without a restart."
    if ends <= now:
        return fail(check, f"{file} expired at {ends:%Y-%m-%d %H:%M} UTC", advice)
    return warn(check, until, advice) if ends - now < RENEW_BEFORE else ok(check, until)


def unsafe(names: Iterable[str]) -> list[Finding]:
    """Name every setting in force that weakens security."""
    advice = "Unset it unless you know why it is there."
    found = [warn("settings", f"{name} is in force", advice) for name in names]
    return found or [ok("settings", "none that is called unsafe is in force")]
