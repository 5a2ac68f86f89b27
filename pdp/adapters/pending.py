"""Pending: calls that are held while people decide about them, and what their answer means for a call.

A held call costs a connection of its own and nobody else anything; how many there are at a time is bounded. People
decide, the PDP keeps what they said, and only its next answer lets a call run: nothing here does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..answer import Answer
from ..errors import Fault
from . import replies
from .client import Client, Standing
from .replies import Result

HOLD_S = 45.0  # the longest one request is held by default: clients give up after 60, the TypeScript SDK among them
MAX_HOLD_S = 600.0
REPEAT_HOLD_S = 20.0  # a call made again while people think: a model that repeats at once uses up fewer turns
HELD_CALLS = 32  # of one server at a time, by default
MAX_HELD_CALLS = 64  # as many as one client of the PDP has connections
LOOK_S = 5.0  # one question to the PDP, and the time between two signs of life to the client
SIGN_S = 1.0  # for one sign of life: a client that does not read is not waited for
MAX_REMEMBERED = 4096  # requests whose callers have been told; what is forgotten is told as if for the first time

ENDED = {
    "approved": "approvals.spent",  # by the same call, made twice
    "expired": "approvals.expired",
    "cancelled": "approvals.withdrawn",
    "superseded": "approvals.withdrawn",
}

Tell = Callable[[float], Awaitable[None]]
"""Gives the client a sign of life, with the seconds that its call has been held."""


class Pending:
    """The calls of one server that are held, at most `at_once`. Raises `Fault` for a number that cannot be."""

    def __init__(self, client: Client, at_once: int = HELD_CALLS) -> None:
        if not 0 <= at_once <= MAX_HELD_CALLS:
            raise Fault(f"held_calls takes 0 to {MAX_HELD_CALLS}.")
        self._client = client
        self._at_once = at_once
        self._held = 0
        self._told: dict[str, None] = {}

    async def hold(self, approval: str, within_s: float, tell: Tell | None = None) -> Standing | None:
        """Return how a request stands once it is decided, or after `within_s` seconds. None: not held, too many are.

        Raises `PdpAway`.
        """
        if within_s <= 0 or self._held >= self._at_once:
            return None
        self._held += 1
        try:
            return await self._decided(approval, within_s, tell)
        finally:
            self._held -= 1

    def told_before(self, approval: str) -> bool:
        """Say whether a caller has been told about this request, and remember that one has."""
        known = approval in self._told
        self._told[approval] = None
        if len(self._told) > MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
        return known

    async def _decided(self, approval: str, within_s: float, tell: Tell | None) -> Standing:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            look = loop.time()
            if tell:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SIGN_S):
                        await tell(look - began)
            wait_s = max(0.0, min(LOOK_S, began + within_s - loop.time()))
            standing = await self._client.standing(approval, wait_s)
            if standing.status != "open" or loop.time() >= began + within_s:
                return standing
            await asyncio.sleep(look + wait_s - loop.time())  # a PDP that does not wait itself is not asked in a loop


def reply_to(answer: Answer, standing: Standing | None) -> Result | None:
    """Return what the caller reads now that a request stands like this; None when the PDP is to be asked again.

    It is asked again for a yes and for a no, and says what they mean. Where nobody decided it is not: that would put
    the call to people anew, which is for the user to want.
    """
    if standing is None:
        return replies.pending(answer)
    if standing.status == "open":
        return replies.pending(answer, standing.opened_at)
    if standing.status == "denied" or (standing.status, standing.approval) == ("approved", "active"):
        return None
    return replies.ended(answer, ENDED[standing.status])
