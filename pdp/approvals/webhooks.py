"""Signed webhooks (Standard Webhooks 1.0, standardwebhooks.com): the receiver learns who sent it, when, and which one.

The signature is HMAC-SHA256 over `id.timestamp.body`. While a secret is replaced, the file holds both and a message
carries a signature with each. The file is read for each message: a rotation needs no restart.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import Fault
from ..keyfile import private_lines
from ..outward import Outward
from .messages import Message, Undelivered

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)  # Standard Webhooks, "Signature scheme": between 24 and 64 bytes
MOST_SECRETS = 2  # the new one and the one it replaces
GONE = 410  # the receiver wants no more of this (Standard Webhooks, "Delivery")
OK = range(200, 300)


@dataclass(frozen=True)
class Webhook:
    """One receiver: where it is, the file with what we sign with, and the events it is told of."""

    url: str
    secret_file: Path
    events: frozenset[str]
    outward: Outward

    @property
    def name(self) -> str:
        """Return what the outbox knows it by: the same on each replica and after a restart."""
        host = urlsplit(self.url).hostname  # its path may be a secret
        return f"webhook:{host}:{hashlib.sha256(self.url.encode()).hexdigest()[:12]}"

    async def send(self, message: Message, now: datetime, within_s: float) -> None:
        """Send a message. Raises `Fault` when it was not taken, `Undelivered` with `gone` when none ever will be."""
        headers = signed(message.id, now, message.body, secrets_in(self.secret_file))
        reply = await self.outward.post(self.url, headers, message.body, within_s)
        if reply.status not in OK:
            raise Undelivered(f"it answered {reply.status}", gone=reply.status == GONE)


def webhook_at(url: str, secret_file: Path, events: frozenset[str], outward: Outward) -> Webhook:
    """Return a receiver. Raises `Fault` when its URL or its secret could never do."""
    outward.check(url)
    secrets_in(secret_file)
    return Webhook(url, secret_file, events, outward)


def signed(identifier: str, now: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return the headers of a message: its id, the time of this attempt, and a signature with each secret."""
    at = str(int(now.timestamp()))
    content = f"{identifier}.{at}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets]
    shown = " ".join(f"v1,{signature}" for signature in signatures)
    return {"webhook-id": identifier, "webhook-timestamp": at, "webhook-signature": shown}


def secrets_in(path: Path) -> list[bytes]:
    """Return the one or two secrets in a file, one a line. Raises `Fault` when others may read them or none is good."""
    lines = private_lines(path, "webhook secret")
    if not 1 <= len(lines) <= MOST_SECRETS:
        raise Fault(f"{path} holds {len(lines)} secrets: give one a line, two while you replace one by the other.")
    return [_secret(line, path) for line in lines]


def _secret(line: str, path: Path) -> bytes:
    try:
        secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not line.startswith(PREFIX) or len(secret) not in SECRET_BYTES:
        raise Fault(f"{path} holds no webhook secret: write {PREFIX} and 24 to 64 random bytes in Base64.")
    return secret
