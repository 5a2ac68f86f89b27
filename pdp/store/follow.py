"""Follow: ask the store what changed, every half second, and know how long ago it could last be asked.

What a process keeps in memory may be relied on while it follows the store. When it could not for too long, it may have
missed a revocation, and whoever relies on it has to say no.

    Following   asks one question for all: what is the newest change of each topic?
    Follower    reads what changed if its topics have moved; nothing changed is as good as read again
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from ..recurring import Recurring
from ..times import Clock
from .changes import Topic, newest_changes
from .sql import Store, reading

NEVER = datetime.min.replace(tzinfo=UTC)
POLL_S = 0.5  # a change is acted on this soon
POLL_TIMEOUT_S = 2.0  # a store that hangs is asked again, on another connection
STALE_AFTER_S = 5.0  # published: facts that could not be followed for longer decide nothing


class Follower:
    """Calls `read`, which takes in what changed in `topics`; `what` names it where it is said to be stale.

    It is stale when it could not follow for `bound_s` seconds.
    """

    def __init__(
        self,
        what: str,
        topics: tuple[Topic, ...],
        read: Callable[[], Awaitable[None]],
        now: Clock,
        bound_s: float = STALE_AFTER_S,
    ) -> None:
        self._what = what
        self._topics = topics
        self._bound = timedelta(seconds=bound_s)
        self._read = read
        self._now = now
        self._has_read: tuple[int, ...] = ()  # the newest change of each topic, or older: then it reads once more
        self._followed_at: datetime | None = None
        self._good_from = self._good_until = NEVER  # asked a dozen times a decision, worked out once a poll

    async def poll(self) -> None:
        """Read once. Raises `StoreUnavailable`."""
        asked_at = self._now()
        await self._read()
        self._followed(asked_at)

    async def keep_up(self, newest: Mapping[Topic, int], asked_at: datetime) -> None:
        """Read if something changed; `newest` is what the store answered when asked at `asked_at`, or later."""
        changes = tuple(newest[topic] for topic in self._topics)
        if changes == self._has_read:
            self._followed(asked_at)
        else:
            await self.poll()
            self._has_read = changes

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

    def _followed(self, asked_at: datetime) -> None:
        now, before = self._now(), self._followed_at
        if before is not None and abs(now - before) < abs(now - asked_at):
            return  # this was asked earlier, and answered later
        self._followed_at = asked_at
        # a clock that was set back by hours must not hide an outage
        self._good_from, self._good_until = asked_at - self._bound, asked_at + self._bound


class Following:
    """Asks the store every `POLL_S`, from `start` to `close`, for all these followers with one question.

    Three that asked for themselves took 28 of the 75 ms of CPU that an idle service used in a second.
    """

    def __init__(self, store: Store, now: Clock, *followers: Follower) -> None:
        self._store = store
        self._now = now
        self._followers = followers
        self._recurring = Recurring("following the changes of the store", self.look, POLL_S, POLL_TIMEOUT_S)

    async def start(self) -> None:
        """Let each read once and go on following. Raises `StoreUnavailable`."""
        await self.look()
        self._recurring.start(at_once=False)

    async def close(self) -> None:
        """Stop following."""
        await self._recurring.close()

    async def look(self) -> None:
        """Ask once, and let those read for whom something changed. Raises `StoreUnavailable`."""
        asked_at = self._now()
        async with reading(self._store) as connection:
            newest = await newest_changes(connection)
        keeping_up = (follower.keep_up(newest, asked_at) for follower in self._followers)
        for ended in await asyncio.gather(*keeping_up, return_exceptions=True):
            if ended is not None:  # only now: none waits for what another cannot read
                raise ended
