"""Recent decisions of this process, so that an outcome is taken at once, from the adapter that asked and nobody else.

Older ones, and those of other workers, are looked up in the projection.
"""

from collections import OrderedDict

import msgspec

from ..answer import Receipt
from ..audit.entry import read_entry, successor
from ..errors import Rejected
from ..flow import World
from ..outcome import Outcome, Recorded, Told, record_outcome
from ..store.decisions import Decided, find_decision
from ..store.sql import Store, StoreUnavailable, reading
from .idempotency import Replays

MAX_RECENT = 50_000  # decisions; about ten seconds of a saturated worker, while the projection takes one
UNKNOWN = Rejected(404, "decision.unknown", "This adapter asked for no decision of that id.")


class Recent:
    """Who asked for which decision. `take` records an outcome once; the same again gets the same answer."""

    def __init__(self) -> None:
        self._askers: OrderedDict[str, str] = OrderedDict()
        self._told = Replays()

    def remember(self, decision: str, pep: str) -> None:
        """Keep who asked; the oldest are forgotten first."""
        self._askers[decision] = pep
        if len(self._askers) > MAX_RECENT:
            self._askers.popitem(last=False)

    async def take(self, decision: str, pep: str, outcome: Outcome, world: World, store: Store) -> Told:
        """Record an outcome. Raises `Rejected` 404 for somebody else's decision, 409 for a second, other outcome."""
        if self._askers.get(decision, pep) != pep:
            raise UNKNOWN
        body = msgspec.json.encode(outcome)

        async def tell() -> bytes:
            return msgspec.json.encode(await self._tell(decision, pep, outcome, world, store))

        return msgspec.json.decode(await self._told.once(pep, decision, body, tell), type=Told)

    async def _tell(self, decision: str, pep: str, outcome: Outcome, world: World, store: Store) -> Told:
        found = await _projected(decision, store)
        if decision not in self._askers and (found is None or found.pep != pep):
            raise UNKNOWN
        if found is None or found.outcome is None:
            return await record_outcome(decision, pep, outcome, world)
        return _told_before(found.outcome, outcome)


async def _projected(decision: str, store: Store) -> Decided | None:
    try:
        async with reading(store) as connection:
            return await find_decision(connection, decision)
    except StoreUnavailable:
        raise Rejected(503, "store.unavailable", "Decisions cannot be looked up now.") from None


def _told_before(line: str, outcome: Outcome) -> Told:
    recorded = msgspec.convert(read_entry(line.encode()).body, Recorded)
    if recorded.outcome != outcome:
        raise Rejected(409, "outcome.conflict", "Another outcome was recorded for this decision.")
    stood, behind = successor(line.encode())
    return Told(recorded.decision, Receipt(stood.origin, stood.index, behind.digest))
