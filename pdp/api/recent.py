"""Recent decisions of this process, so that an outcome is taken at once, from the adapter that asked and nobody else.

Older ones, and those of other workers, are looked up in the projection.
"""

import math
from collections import OrderedDict
from functools import partial
from typing import NamedTuple

import msgspec

from ..answer import Decision, Receipt
from ..audit.entry import read_entry, successor
from ..deadlines import Deadlines
from ..errors import Rejected
from ..flow import World
from ..outcome import Outcome, Recorded, Told, record_outcome
from ..store.decisions import Decided, find_decisions
from ..store.sql import Store, StoreUnavailable, reading
from ..store.together import Together
from .idempotency import Conflict, Replays

MAX_RECENT = 50_000  # decisions; about ten seconds of a saturated worker, while the projection takes one
UNKNOWN = Rejected(404, "decision.unknown", "This adapter asked for no decision of that id.")
ANOTHER = Rejected(409, "outcome.conflict", "Another outcome was recorded for this decision.")


class Asked(NamedTuple):
    """Which adapter asked for a decision, and what it was told."""

    pep: str
    told: Decision


class Recent:
    """Who asked for which decision. `take` records an outcome once; the same again gets the same answer."""

    def __init__(self, store: Store, deadlines: Deadlines) -> None:
        self._projected = Together(partial(_projected, store), deadlines)
        self._askers: OrderedDict[str, Asked] = OrderedDict()
        self._told = Replays(kept_for=math.inf, most=MAX_RECENT)  # until the projection surely has it

    def remember(self, decision: str, asked: Asked) -> None:
        """Keep who asked; the oldest are forgotten first."""
        self._askers[decision] = asked
        if len(self._askers) > MAX_RECENT:
            self._askers.popitem(last=False)

    async def take(self, decision: str, pep: str, outcome: Outcome, world: World) -> Told:
        """Record an outcome. Raises `Rejected` 404 for somebody else's decision, 409 for a second, other outcome."""
        known = self._askers.get(decision)
        if known is not None and known.pep != pep:
            raise UNKNOWN.fresh()

        async def tell() -> bytes:
            return msgspec.json.encode(await self._tell(decision, pep, outcome, world))

        try:
            return msgspec.json.decode(
                await self._told.once(pep, decision, msgspec.json.encode(outcome), tell), type=Told
            )
        except Conflict:
            raise ANOTHER.fresh() from None

    async def _tell(self, decision: str, pep: str, outcome: Outcome, world: World) -> Told:
        found = await self._look_up(decision)
        asked = self._askers.get(decision) or _asked(found)
        if asked is None or asked.pep != pep:
            raise UNKNOWN.fresh()
        if found is None or found.outcome is None:
            return await record_outcome(decision, asked.pep, asked.told, outcome, world)
        return _told_before(found.outcome, outcome)

    async def _look_up(self, decision: str) -> Decided | None:
        try:
            return await self._projected.get(decision)
        except (StoreUnavailable, TimeoutError):
            raise Rejected(503, "store.unavailable", "Decisions cannot be looked up now.") from None


async def _projected(store: Store, decisions: set[str]) -> dict[str, Decided]:
    async with reading(store) as connection:
        return await find_decisions(connection, decisions)


def _asked(found: Decided | None) -> Asked | None:
    return found and Asked(found.pep, read_entry(found.entry.encode()).body["decision"])


def _told_before(line: str, outcome: Outcome) -> Told:
    recorded = msgspec.convert(read_entry(line.encode()).body, Recorded)
    if recorded.outcome != outcome:
        raise ANOTHER.fresh()
    stood, behind = successor(line.encode())
    return Told(recorded.decision, Receipt(stood.origin, stood.index, behind.digest))
