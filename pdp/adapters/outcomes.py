"""Outcomes: told to the PDP behind the result, so that nobody waits for it; never dropped without a line in the log."""

import asyncio
import logging

from .client import Client, Outcome, PdpAway

logger = logging.getLogger(__name__)

MAX_PENDING = 1000  # reports on their way; each lives for one deadline, so this is more than 1,000 calls a second


class Outcomes:
    """The reports on their way. `drain` waits for them, for one deadline of the client at most."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pending: set[asyncio.Task[None]] = set()

    def tell(self, decision: str, outcome: Outcome) -> None:
        """Report an outcome in the background; never waits, so it may be called while a call is being cancelled."""
        if len(self._pending) >= MAX_PENDING:
            logger.error("outcome of %s (%s) is lost: too many reports wait", decision, outcome.disposition)
            return
        task = asyncio.get_running_loop().create_task(self._tell(decision, outcome))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def drain(self) -> None:
        """Wait for the reports on their way."""
        while self._pending:
            await asyncio.wait(self._pending)

    async def _tell(self, decision: str, outcome: Outcome) -> None:
        try:
            await self._client.report(decision, outcome)
        except PdpAway as away:
            logger.error("outcome of %s (%s) is not recorded: %s", decision, outcome.disposition, away.note)  # noqa: TRY400
        except asyncio.CancelledError:
            logger.error("outcome of %s (%s) may be lost: we stopped", decision, outcome.disposition)  # noqa: TRY400
            raise
