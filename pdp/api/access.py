"""Access: who may call us, and how often. Without a valid key there is no answer and no reason."""

import hmac
from collections.abc import Mapping
from datetime import datetime

from ..errors import Rejected
from ..identity.peps import Pep, secret_digest
from ..times import Clock, rfc3339

BURST_SECONDS = 2  # a key may save up this much of its rate


def authenticate(authorization: str | None, peps: Mapping[str, Pep], now: datetime) -> Pep:
    """Return the adapter behind an Authorization header. Raises `Rejected` 401, the same for every failure."""
    scheme, _, key = (authorization or "").partition(" ")
    identifier, _, secret = key.removeprefix("pdp_").partition("_")
    pep = peps.get(f"pep_{identifier}")
    expected = pep.secret_digest if pep else secret_digest("")
    matches = hmac.compare_digest(expected.encode(), secret_digest(secret).encode())
    if scheme.lower() != "bearer" or pep is None or not matches or pep.expires_at <= rfc3339(now):
        raise Rejected(
            401, "access.unauthenticated", "A valid key is required.", headers={"WWW-Authenticate": "Bearer"}
        )
    return pep


class Rate:
    """A token bucket a key. Raises `Rejected` 429 when one is empty; memory is bounded by the number of keys."""

    def __init__(self, per_second: float, now: Clock) -> None:
        self._per_second = per_second
        self._full = per_second * BURST_SECONDS
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, pep: str, count: int = 1) -> None:
        """Take `count` decisions out of the key's bucket."""
        now = self._now().timestamp()
        level, at = self._buckets.get(pep, (self._full, now))
        level = min(self._full, level + max(0.0, now - at) * self._per_second)
        if level < count:
            raise Rejected(429, "access.rate", "The key asks too often.", headers={"Retry-After": "1"})
        self._buckets[pep] = (level - count, now)
