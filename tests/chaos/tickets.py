"""Approvals during a soak: a call is asked about, agreed to and made, and then it must not run again."""

import asyncio
import itertools
import time
from typing import Any

from . import cast
from .cast import Call
from .openloop import OpenLoop
from .wire import Reply, request

EVERY_S = 3.0  # a person may have twenty questions open, for a quarter of an hour
TRIES = 100  # of each step: the store may be locked for seconds, OPA be away
TRIED_EVERY_S = 0.2
REASON = "the invoice is in the ticket"


async def approvals(loop: OpenLoop) -> None:
    """Follow one call after the other until cancelled. What runs twice, or unasked, counts as `second runs`."""
    for number in itertools.count():
        person = cast.PEOPLE[number % len(cast.PEOPLE)]
        call = Call(person, None, "create_refund", {"order": f"t-{number}", "amount": cast.ASKS_ABOVE + 1})
        await _followed(loop, call)
        await asyncio.sleep(EVERY_S)


async def _followed(loop: OpenLoop, call: Call) -> None:
    asked = await _until(loop, call, "needs_approval")
    if asked is None or not await _voted(loop, asked["approval"]["id"]):
        loop.verdicts.counts["approvals given up"] += 1
        return
    if await _until(loop, call, "allow", "needs_approval", redeems=True) is None:
        loop.verdicts.counts["approvals given up"] += 1
        return
    again = await _until(loop, call, "needs_approval")
    loop.verdicts.counts["approvals followed"] += again is not None


async def _until(loop: OpenLoop, call: Call, *wanted: str, redeems: bool = False) -> dict[str, Any] | None:
    """Ask until one of these is the answer. An allow that people did not agree to is what must not happen."""
    for _ in range(TRIES):
        began = time.monotonic()
        reply = await loop.sent(request("POST", "/v1/decisions", loop.cast.home.key, loop.cast.body(call)))
        told = reply.body.get("decision") if reply is not None and reply.status == 200 else None
        if reply is not None and not redeems:
            loop.judge(call, reply, began, time.monotonic())
        elif told is not None:
            loop.verdicts.counts[str(told)] += 1
        if reply is not None and told == "allow" and not redeems:
            loop.verdicts.bad("second runs", f"{call}: {reply.body['id']}")
        if reply is not None and told in wanted:
            return reply.body
        await asyncio.sleep(TRIED_EVERY_S)
    return None


async def _voted(loop: OpenLoop, identifier: str) -> bool:
    token, path = loop.cast.desk[cast.APPROVERS[0]], f"/v1/approvals/{identifier}"
    for _ in range(TRIES):
        shown = await loop.sent(request("GET", path, token))
        if shown is not None and shown.status == 200:
            body = {"vote": "approve", "presented_digest": shown.body["presented_digest"], "reason": REASON}
            reply = await loop.sent(request("POST", f"{path}/votes", token, body))
            if _approved(reply):
                return True
        await asyncio.sleep(TRIED_EVERY_S)
    return False


def _approved(reply: Reply | None) -> bool:
    return reply is not None and reply.status == 200 and reply.body["status"]["status"] == "approved"
