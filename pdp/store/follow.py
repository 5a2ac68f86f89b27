"""Follow: ask the store what changed, every half second, and know how long ago it could last be asked.

What a process keeps in memory may be relied on while it follows the store. When it could not for too long, it may have
missed a revocation, and whoever relies on it has to say no.
"""

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ..recurring import Recurring
from ..times import Clock

NEVER = datetime.min.replace(tzinfo=UTC)
POLL_S = 0.5  # a change is acted on this soon
POLL_TIMEOUT_S = 2.0  # a store that hangs is asked again, on another connection
STALE_AFTER_S = 5.0  # published: facts that could not be followed for longer decide nothing


class Follower:
    """Calls `read`, which takes in what changed, now and then every `POLL_S`; `what` names it in the service's log.

    After `bound_s` seconds without, it is stale.
    """

    def __init__(
        self, what: str, read: Callable[[], Awaitable[None]], now: Clock, bound_s: float = STALE_AFTER_S
    ) -> None:
        self._what = what
        self._bound = timedelta(seconds=bound_s)
        self._read = read
        self._now = now
        self._followed_at: datetime | None = None
        self._good_from = self._good_until = NEVER  # asked a dozen times a decision, worked out once a poll
        self._recurring = Recurring(f"following {what}", self.poll, POLL_S, POLL_TIMEOUT_S)

    async def start(self) -> None:
        """Read once and go on following. Raises `StoreUnavailable`."""
        await self.poll()
        self._recurring.start(at_once=False)

    async def close(self) -> None:
        """Stop following."""
        await self._recurring.close()

    async def poll(self) -> None:
        """Read once. Raises `StoreUnavailable`."""
        asked_at = self._now()
        await self._read()
        self._followed_at = asked_at
        # a clock that was set back by hours must not hide an outage
        self._good_from, self._good_until = asked_at - self._bound, asked_at + self._bound

    def age_s(self) -> float:
        """Return the seconds since the store was last followed, infinite before the first time."""
        return abs((self._now() - self._followed_at).total_seconds()) if self._followed_at else math.inf

    def stale(self) -> str | None:
        """Say why what was read may not be relied on; None while it may."""
        now = self._now()
        if self._good_from <= now <= self._good_until and self._followed_at is not None:
            return None
        if self._followed_at is None:
            return f"{self._what} could not be read yet"
        return f"{self._what} could last be read {(now - self._followed_at).total_seconds():.0f} s ago"
