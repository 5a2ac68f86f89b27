"""Notify: somebody is told of a call before it is made. A call that nobody can be told of is not made."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from msgspec import Struct, to_builtins

from ..errors import Refused

logger = logging.getLogger("mcp_pdp.notify")

WITHIN_S = 5.0  # the caller waits for it, and a notice is one line to somebody's queue


class Notice(Struct, frozen=True):
    """Who is to be told (the policy's names, such as `security`) of which call. The record says who called, and how."""

    to: list[str]
    server: str
    tool: str
    decision: str


Notify = Callable[[Notice], Awaitable[None]]
"""Tells those whom a notice is for; returns when they are told, raises when they cannot be."""


async def log_notice(notice: Notice) -> None:
    """Write a notice as one line of JSON to the logger `mcp_pdp.notify`."""
    logger.warning("%s", json.dumps(to_builtins(notice)))


async def tell(notify: Notify, notice: Notice, within_s: float = WITHIN_S) -> None:
    """Tell somebody of a call. Raises `Refused` `duties.failed` when that fails or takes too long."""
    try:
        async with asyncio.timeout(within_s):
            (failure,) = await asyncio.gather(_told(notify, notice), return_exceptions=True)
    except TimeoutError:
        raise Refused("duties.failed", f"{notice.to} were not told within {within_s} s") from None
    if failure is not None:
        raise Refused("duties.failed", f"{notice.to} were not told: {failure!r}")


async def _told(notify: Notify, notice: Notice) -> None:
    await notify(notice)
