"""Where people change something: the store they change, the log that says so, and the clock.

A change is written into the log inside its transaction, before the commit: what cannot be recorded does not happen.
(A record whose commit then failed says more than is true, never less.)
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from ..store.sql import Store
from ..times import Clock
from .log import Log

RECORD_WITHIN_S = 10.0  # nobody waits for an answer to a call here


@dataclass(frozen=True)
class Office:
    """A store, a log and a clock."""

    store: Store
    log: Log
    now: Clock

    async def put_on_record(self, kind: str, body: dict[str, Any]) -> None:
        """Write a change into the log, durably; call it in the transaction that makes it. Raises `Unrecorded`."""
        deadline = asyncio.get_running_loop().time() + RECORD_WITHIN_S
        await self.log.append(kind, body, durable=True, deadline=deadline)
