"""Adoption: which policy a sidecar runs, asked as long as it may still take up another, and recorded when it did.

Calls notice by themselves, from the first answer under the offered policy; this is for when there are none, and for the
record. An OPA takes its bundles from where it likes: what counts is the revision each of its answers names.
"""

import asyncio
import json

from ..engine import VERDICT, Engine
from ..errors import Refused
from ..recurring import Recurring
from .change import Change
from .live import Active, Policy
from .notice import Cause, Notices

ASK_EVERY_S = 0.2
ANSWERS_WITHIN_S = 1.0
OFFER_STANDS_S = 5.0  # a sidecar that was fetching the offer before the last has taken up both by then


class Adoption:
    """Asks the sidecar, from `start` to `close`."""

    def __init__(self, policy: Policy, notices: Notices) -> None:
        self._policy = policy
        self._notices = notices
        self._known: Active | None = None
        self._asking = Recurring("the sidecar's policy", self._ask, ASK_EVERY_S)

    def start(self) -> None:
        """Begin to ask."""
        self._asking.start()

    async def close(self) -> None:
        """Stop asking."""
        await self._asking.close()

    async def _ask(self) -> None:
        policy = self._policy
        if policy.newest is policy.active is self._known:
            return
        revision = await running_on(policy.newest.engine)
        if policy.taken_up(revision) is None:
            return
        if policy.active is not self._known:
            await self._record()
        if revision == policy.newest.pack.revision and asyncio.get_running_loop().time() > (
            policy.offered_at + OFFER_STANDS_S
        ):
            policy.withdraw_offers()

    async def _record(self) -> None:
        taken, known = self._policy.active, self._known
        if known is None or known.pack.revision != taken.pack.revision:
            before = known.pack if known else None
            await self._notices.activated(taken.pack, before, Cause("sidecar"), Change(), offered=False)
        self._known = taken


async def running_on(engine: Engine) -> str | None:
    """Return the revision that an engine names in its answer to the empty input; None when it does not answer."""
    try:
        said = json.loads(await engine.evaluate(VERDICT, b"{}", asyncio.get_running_loop().time() + ANSWERS_WITHIN_S))
    except (Refused, ValueError):
        return None
    return str(said.get("revision")) if isinstance(said, dict) else None
