"""What others are told of a request, and when: written into the outbox in the transaction of what it tells of.

A message is thin: who asks for which tool, until when, and where to look. It has no arguments, so that whoever reads
it on its way learns little, and it cannot be answered: to decide, a person looks at the request itself.
"""

from typing import Any

import msgspec
from msgspec import Struct

from ..audit.office import Office
from ..ids import new_id
from ..store import outbox
from ..store.sql import StoreConnection
from .states import FORESEEN, TOLD_AS, Event

Row = dict[str, Any]


class Told(Struct, frozen=True, omit_defaults=True):
    """What a message says of a request. `url` is its page in the console, where there is one."""

    request: str
    status: str
    server: str
    tool: str
    expires_at: str
    risk_class: str | None = None
    person: str | None = None
    agent: str | None = None
    url: str | None = None


async def announce(office: Office, connection: StoreConnection, step: str, request: Row) -> None:
    """Put into the outbox what others are told of a step, and take out what is no longer to be said."""
    event = TOLD_AS.get(step)
    if event is None:
        return
    if event == "approval.decided":
        await outbox.withdraw_messages(connection, request["id"], FORESEEN)
    await _add(office, connection, event, request)


async def foresee(office: Office, connection: StoreConnection, request: Row, *, remind: int, escalate: int) -> None:
    """Put into the outbox what is said when nobody decides: seconds from now, 0 for never."""
    for event, after_s in zip(FORESEEN, (remind, escalate), strict=True):
        if after_s:
            await _add(office, connection, event, request, after_s)


async def _add(office: Office, connection: StoreConnection, event: Event, request: Row, after_s: int = 0) -> None:
    told = msgspec.to_builtins(_told(request))
    row = {"id": new_id("msg", office.now()), "event": event, "request": request["id"], "told": told}
    await outbox.add_message(connection, row, after_s)


def _told(request: Row) -> Told:
    return Told(
        request=request["id"],
        status=request["state"],
        server=request["server"],
        tool=request["tool"],
        expires_at=request["expires_at"],
        risk_class=request["shown"].get("tool", {}).get("risk_class"),
        person=request["person"],
        agent=request["agent"],
    )
