"""The one way we write a time: RFC 3339, UTC, fixed width, so that times compare as strings (contracts, preamble)."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time, timezone-aware in UTC. The only collaborator tests may replace by a fake."""


def system_clock() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return `moment` as `2026-01-01T00:00:00Z`: whole seconds, always twenty characters."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"  # strftime costs ten times as much


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 time with any offset. Raises `ValueError` without an offset or on other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset, such as Z")
    return moment.astimezone(UTC)
