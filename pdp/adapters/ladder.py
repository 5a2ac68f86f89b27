"""The ladder: how a call waits for people, by what its client can do. The first rung that fits (mcp-adapters.md, 3.3).

1. It opens pages (`elicitation.url`), and the PDP has one: 2026-07-28 by rounds, each a call that is held for a while;
   2025-11-25 by asking for it while the call is held.
2. It follows progress: the call is held, with a sign of life every few seconds.
3. Neither, as most hosts: it is told at once that the call waits, and to make it again. One made again is held briefly.

Every rung ends in the third. That somebody opened a page, or says so, approves nothing: the PDP alone knows what those
who may approve have said, and the tool runs on its allow only.
"""

import asyncio
import logging
import re
from contextlib import suppress
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from ..answer import Answer, ApprovalTicket
from ..errors import Fault
from . import replies
from .client import PdpAway, Standing
from .pending import HOLD_S, MAX_HOLD_S, REPEAT_HOLD_S, Pending, Tell, reply_to
from .replies import APPROVAL, Result

logger = logging.getLogger(__name__)

ROUND_S = 20.0  # one round of 2026-07-28
LAST_ROUND = 8  # official clients give up after ten
STATE = re.compile(r"mcp-pdp/approval/v1 ([1-8])")
MESSAGE = "This call waits for a person's approval. Open the page to see it, or to decide if you are asked to."

Context = ServerRequestContext[Any, Any]


class Ladder:
    """Waits for people on behalf of calls, none held longer than `hold_s` seconds at a time. Raises `Fault`."""

    def __init__(self, pending: Pending, hold_s: float = HOLD_S) -> None:
        if not 0 <= hold_s <= MAX_HOLD_S:
            raise Fault(f"hold_s takes 0 (never hold a call) to {MAX_HOLD_S:.0f} seconds.")
        self._pending = pending
        self._hold_s = hold_s

    async def wait(self, ctx: Context, answer: Answer) -> Result | None:
        """Return what the caller of a call that needs approval reads; None when the PDP is to be asked again."""
        if answer.approval is None:
            return replies.pending(answer)
        try:
            return await self._rung(ctx, answer, answer.approval)
        except PdpAway as away:
            logger.warning("nobody knows how %s stands, %s: %s", answer.approval.id, away.code, away.note)
            return None  # asked again, it says itself whether it is away

    async def _rung(self, ctx: Context, answer: Answer, ticket: ApprovalTicket) -> Result | None:
        known = self._pending.told_before(ticket.id)
        tell = _sign_of_life(ctx, ticket)
        if ticket.url and _opens_pages(ctx):
            if is_modern(ctx) and not _is_of_the_tool(ctx):
                return await self._by_rounds(ctx, answer, ticket, ticket.url)
            if ctx.session.can_send_request:
                return reply_to(answer, await self._beside_a_page(ctx, ticket, ticket.url))
        if tell or known:
            within_s = self._hold_s if tell else min(self._hold_s, REPEAT_HOLD_S)
            return reply_to(answer, await self._pending.hold(ticket.id, within_s, tell))
        return replies.pending(answer)

    async def _by_rounds(self, ctx: Context, answer: Answer, ticket: ApprovalTicket, url: str) -> Result | None:
        """Have the page opened, then hold each call that comes back; the state counts the rounds and grants nothing."""
        rounds = round_of(ctx.params)
        if rounds == 0:
            return replies.to_open(answer, url, _state(1), MESSAGE)
        if _was_declined(ctx):
            return replies.pending(answer)
        held = await self._pending.hold(ticket.id, min(self._hold_s, ROUND_S), _sign_of_life(ctx, ticket))
        if held is not None and held.status == "open" and rounds < LAST_ROUND:
            return replies.to_open(answer, url, _state(rounds + 1), None)
        return reply_to(answer, held)

    async def _beside_a_page(self, ctx: Context, ticket: ApprovalTicket, url: str) -> Standing | None:
        """Hold a call while its client is asked to open the page; who declines is not kept waiting."""
        opening = asyncio.create_task(_opened(ctx, ticket, url))
        holding = asyncio.create_task(self._pending.hold(ticket.id, self._hold_s, _sign_of_life(ctx, ticket)))
        try:
            await asyncio.wait({opening, holding}, return_when=asyncio.FIRST_COMPLETED)
            return await holding if holding.done() or opening.result() else None
        finally:
            opening.cancel()  # what the user has not answered yet is taken off their screen
            holding.cancel()
            await asyncio.gather(opening, holding, return_exceptions=True)


def is_modern(ctx: Context) -> bool:
    """Say whether a message is of the era without sessions (2026-07-28)."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def round_of(params: Any) -> int:
    """Return the round that a call says it is in; 0 for one that begins. Only a count: it comes from the client."""
    state = (params or {}).get("requestState")
    ours = STATE.fullmatch(state) if isinstance(state, str) else None
    return int(ours[1]) if ours else 0


def without_round(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call as its tool is to see them: what we had the client carry is not for it."""
    if round_of(params) == 0:
        return params
    return {name: value for name, value in params.items() if name not in {"requestState", "inputResponses"}}


def _state(rounds: int) -> str:
    return f"mcp-pdp/approval/v1 {rounds}"


def _is_of_the_tool(ctx: Context) -> bool:
    """Say whether a call carries an answer that its tool waits for: we have no room for it in a state of ours."""
    params = ctx.params or {}
    return round_of(params) == 0 and any(params.get(name) is not None for name in ("requestState", "inputResponses"))


def _was_declined(ctx: Context) -> bool:
    given = (ctx.params or {}).get("inputResponses")
    answer = given.get(APPROVAL) if isinstance(given, dict) else None
    return isinstance(answer, dict) and answer.get("action") != "accept"


def _opens_pages(ctx: Context) -> bool:
    declared = ctx.session.client_capabilities
    return declared is not None and declared.elicitation is not None and declared.elicitation.url is not None


def _sign_of_life(ctx: Context, ticket: ApprovalTicket) -> Tell | None:
    """Return how to tell the client that its call is held, if it asked for progress."""
    meta = (ctx.params or {}).get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    if token is None:
        return None

    at = f" at {ticket.url}" if ticket.url else ""

    async def tell(held_s: float) -> None:
        await ctx.session.report_progress(round(held_s, 1), message=f"Waiting for a person to approve {ticket.id}{at}")

    return tell


async def _opened(ctx: Context, ticket: ApprovalTicket, url: str) -> bool:
    """Ask the client to have a page opened, and say whether it did; one that cannot did not."""
    with suppress(MCPError, ValidationError):
        number = f"{ticket.id}/{ctx.request_id}"
        said = await ctx.session.elicit_url(MESSAGE, url, number, related_request_id=ctx.request_id)
        return said.action == "accept"
    return False
