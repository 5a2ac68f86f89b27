"""The one way we write a time: RFC 3339, UTC, fixed width, so that times compare as strings (contracts, preamble)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

Clock = Callable[[], datetime]
"""Returns the current time, timezone-aware in UTC. The only collaborator tests may replace by a fake."""


def system_clock() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as `2026-01-01T00:00:00Z`: whole seconds, always twenty characters."""
    return _written((moment - EPOCH) // SECOND)


@lru_cache(maxsize=4096)  # a decision writes a dozen times, mostly of this very second: 1.5 us each without
def _written(seconds: int) -> str:
    return (EPOCH + seconds * SECOND).isoformat()[:19] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 time with any offset. Raises `ValueError` without an offset or on other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset, such as Z")
    return moment.astimezone(UTC)
