"""The outbox at work: what is due is addressed, and each destination has a sender that no other waits for.

At least once: a message is claimed, sent, and then removed. Who dies in between has sent what another sends again, with
the same id; receivers know it by that. However many replicas there are, one claims a message.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from secrets import SystemRandom
from typing import Any

from ..errors import Fault
from ..recurring import Recurring
from ..store import outbox as store
from ..store.sql import Store, reading, transaction
from ..times import Clock
from .messages import Destination, Undelivered, message_of

Row = dict[str, Any]
Count = Callable[[str, int], None]
"""Told how many messages were `delivered`, `postponed` or `dead`."""

EVERY_S = 1.0  # how soon a message is on its way
SEND_WITHIN_S = 10.0  # a receiver that takes longer has not taken it
CLAIM_S = 60  # longer than any attempt: whoever still holds a claim then has died
AT_ONCE = 16  # messages of one destination on their way
AT_A_TIME = 200  # events that are addressed in one transaction
FIRST_RETRY_S, LONGEST_RETRY_S = 5, 3600
GIVE_UP_AFTER_S = 24 * 3600  # a receiver that was down for a day is told nothing of that day
FORGET_AFTER_S = 30 * 24 * 3600  # dead messages, which say what was never told

logger = logging.getLogger(__name__)
dice = SystemRandom()


@dataclass(frozen=True)
class Outbox:
    """What is in the store to be told, and to whom. `console` is where people find its pages."""

    store: Store
    now: Clock
    destinations: Sequence[Destination] = ()
    console: str | None = None
    count: Count = lambda _became, _how_many: None
    toss: Callable[[], float] = dice.random
    send_within_s: float = SEND_WITHIN_S

    async def address(self) -> None:
        """Make a message for each destination of every event that is due, and give up what is too old."""
        async with reading(self.store) as connection:
            if not (await store.is_due(connection) or await store.is_old(connection, GIVE_UP_AFTER_S, FORGET_AFTER_S)):
                return
        audience = {destination.name: destination.events for destination in self.destinations}
        async with transaction(self.store) as connection:
            await store.address_messages(connection, audience, AT_A_TIME)
            buried = await store.bury_old_messages(connection, GIVE_UP_AFTER_S)
            await store.forget_dead_messages(connection, FORGET_AFTER_S)
        self._buried(buried, f"not delivered within {GIVE_UP_AFTER_S} s")

    async def deliver(self, destination: Destination) -> None:
        """Send what is due at a destination, until nothing is."""
        while claimed := await self._claimed(destination):
            ended = await asyncio.gather(*(self._send(destination, row) for row in claimed), return_exceptions=True)
            for error in ended:
                if error is not None:
                    raise error

    async def _claimed(self, destination: Destination) -> list[Row]:
        async with reading(self.store) as connection:
            if not await store.is_due(connection, destination.name):
                return []
        async with transaction(self.store) as connection:
            return await store.claim_messages(connection, destination.name, AT_ONCE, CLAIM_S)

    async def _send(self, destination: Destination, row: Row) -> None:
        try:
            async with asyncio.timeout(self.send_within_s):
                await destination.send(message_of(row, self.console), self.now(), self.send_within_s)
        except TimeoutError:
            await self._failed(row, Undelivered(f"it did not answer within {self.send_within_s} s"))
        except Fault as fault:
            await self._failed(row, fault)
        else:
            async with transaction(self.store) as connection:
                await store.remove_message(connection, row)
            self.count("delivered", 1)

    async def _failed(self, row: Row, why: Fault) -> None:
        gone = isinstance(why, Undelivered) and why.gone
        async with transaction(self.store) as connection:
            if gone:
                await store.bury_message(connection, row, str(why))
            else:
                await store.postpone_message(connection, row, retry_in_s(row["attempts"], self.toss()), str(why))
        if gone:
            self._buried(1, str(why))
        else:
            logger.warning("%s to %s is sent again: %s", row["id"], row["destination"], why)
            self.count("postponed", 1)

    def _buried(self, how_many: int, why: str) -> None:
        if how_many:
            logger.error("%d messages about approvals are given up (%s): see approval_outbox", how_many, why)
            self.count("dead", how_many)


class Sending:
    """Runs an outbox in the background from `start` to `close`."""

    def __init__(self, outbox: Outbox) -> None:
        rounds = [Recurring("addressing messages about approvals", outbox.address, EVERY_S)]
        rounds += [Recurring(f"telling {to.name}", _to(outbox, to), EVERY_S) for to in outbox.destinations]
        self._rounds = rounds
        self._stack = AsyncExitStack()

    def start(self) -> None:
        """Begin."""
        for recurring in self._rounds:
            recurring.start()
            self._stack.push_async_callback(recurring.close)

    async def close(self) -> None:
        """Stop; what is on its way is sent again by the next to start."""
        await self._stack.aclose()


def retry_in_s(attempts: int, toss: float) -> int:
    """Return the seconds until the next attempt: four times longer after each, up to an hour, half of it by chance.

    `toss` is in [0, 1): receivers that come back are not met by all at the same time.
    """
    longest = min(FIRST_RETRY_S * 4.0 ** min(attempts - 1, 10), LONGEST_RETRY_S)
    return max(1, round(longest * (0.5 + toss / 2)))


def _to(outbox: Outbox, destination: Destination) -> Callable[[], Any]:
    async def deliver() -> None:
        await outbox.deliver(destination)

    return deliver
