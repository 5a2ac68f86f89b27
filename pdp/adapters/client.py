"""Ask the PDP. Whatever goes wrong on the way is one exception, and the adapter denies on it: there is no fail-open."""

import logging
import ssl
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from ..answer import Answer, Reason, read_answer
from ..errors import NOT_JSON, REFUSALS, Fault, Refused
from ..net import JsonClient, NoReply, Reply
from ..query import Credential, Query

logger = logging.getLogger(__name__)

DEADLINE_S = 0.75  # outlasts the PDP's own deadlines of 0.2 s to decide and 0.3 s to record
SLOW_S = 5.0  # beyond the wait that was asked for: people take minutes, so a slow look at what they said harms nobody
MAX_ANSWER = 1024 * 1024  # bytes: an answer has one kilobyte, a list of 200 tools twenty
MAX_TOOLS = 200  # of one question what is visible
OK = 200
NOT_RECORDED = 503
ARGUMENTS = {"query.malformed", "query.too_large", "query.too_deep"}  # the one part of a query the caller shapes


class PdpAway(Refused):
    """The PDP gave no answer that can be acted on, so the call is denied. `note` is for the server's own log."""


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What became of an allowed call (contracts, section 1). `duration_ms` milliseconds."""

    disposition: Literal["executed", "not_executed", "failed", "unknown"]
    is_error: bool | None = None
    duration_ms: float | None = None
    result_digest: str | None = None


class Listed(Struct, frozen=True):
    """A tool as the server lists it now."""

    name: str
    definition_digest: str


class Standing(Struct, frozen=True):
    """How a request for approval stands. `approval`: the state of what came of it; only `active` can still be used."""

    status: Literal["open", "approved", "denied", "expired", "cancelled", "superseded"]
    opened_at: str
    approval: str | None = None


class _Listing(Struct, frozen=True):
    caller: Credential
    server: str
    tools: Sequence[Listed]


class _Sight(Struct, frozen=True):
    name: str
    visible: bool


class _Visible(Struct, frozen=True):
    tools: list[_Sight]


class _Problem(Struct, frozen=True):
    code: str = ""
    decision: str = ""
    reasons: list[Reason] = field(default_factory=list)


class Client:
    """The PDP at `url` (or behind the unix socket `uds`), asked with an adapter's `key` within `deadline_s` seconds.

    `tls` says whom to trust and what to show, as `pdp.net.trusted` returns it; default: the usual CAs, and nothing. One
    pool of connections; opens when first used and again after `close`. Raises `Fault` for a URL or key that cannot be
    one.
    """

    def __init__(
        self,
        url: str,
        key: str,
        deadline_s: float = DEADLINE_S,
        uds: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        secret = key.strip()
        if not secret or not secret.isascii() or not secret.isprintable():
            raise Fault("The adapter's key is empty or not a key: make one with `pdp keys create`.")
        if not deadline_s > 0:
            raise Fault("The adapter's deadline takes more than 0 seconds.")
        self._http = JsonClient(url, {"Authorization": f"Bearer {secret}"}, MAX_ANSWER, uds, tls=tls)
        self._watch = JsonClient(
            url, {"Authorization": f"Bearer {secret}"}, MAX_ANSWER, uds, tls=tls
        )  # waits in nobody's way
        self._deadline_s = deadline_s
        if self._http.is_open_line:
            logger.warning("%s is plain http to another machine: keys and tokens can be read on the way", url)

    async def decide(self, query: Query) -> Answer:
        """Return the PDP's answer, whatever it decides. Raises `PdpAway`.

        An allow without a receipt is no answer: a decision that is not on record is nobody's to act on.
        """
        try:
            answer = read_answer(await self._ask("/v1/decisions", _json(query)))
        except NOT_JSON as error:
            raise PdpAway("pdp.garbled", str(error)) from None
        if answer.decision == "allow" and answer.receipt is None:
            raise PdpAway("pdp.garbled", f"{answer.id} is an allow without a receipt")
        return answer

    async def visible(self, caller: Credential, server: str, tools: Sequence[Listed]) -> frozenset[str]:
        """Return the names of those tools that the caller may call at all, in one question. Raises `PdpAway`."""
        listing = _Listing(caller, server, tools[:MAX_TOOLS])
        body = await self._ask("/v1/tools/visible", _json(listing))
        try:
            reply = msgspec.json.decode(body, type=_Visible)
        except NOT_JSON as error:
            raise PdpAway("pdp.garbled", str(error)) from None
        return frozenset(sight.name for sight in reply.tools if sight.visible)

    async def report(self, decision: str, outcome: Outcome) -> None:
        """Say what became of a call. Raises `PdpAway` when the PDP did not take it."""
        await self._ask(f"/v1/decisions/{quote(decision, safe='')}/outcome", _json(outcome))

    async def standing(self, approval: str, wait_s: float) -> Standing:
        """Return how a request for approval stands, once it is decided or `wait_s` seconds from now. Raises `PdpAway`.

        It comes over connections of its own, so that no decision waits behind it.
        """
        path = f"/v1/approvals/{quote(approval, safe='')}?wait={wait_s:.3f}"
        body = await _answered(self._watch.get(path, wait_s + SLOW_S))
        try:
            return msgspec.json.decode(body, type=Standing)
        except NOT_JSON as error:
            raise PdpAway("pdp.garbled", str(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._watch.close()
        await self._http.close()

    async def _ask(self, path: str, body: bytes) -> bytes:
        return await _answered(self._http.post(path, body, self._deadline_s))


async def _answered(asking: Awaitable[Reply]) -> bytes:
    try:
        reply = await asking
    except NoReply as error:
        raise PdpAway("pdp.late" if error.late else "pdp.unreachable", str(error)) from None
    if reply.status != OK:
        raise _away(reply)
    return reply.body


def _json(value: Struct) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (ValueError, TypeError, RecursionError) as error:  # half of a surrogate pair, an endless number
        raise PdpAway("tool.arguments", f"the question is not JSON: {type(error).__name__}") from None


def _away(reply: Reply) -> PdpAway:
    """Say why there is no answer, as far as the PDP said so itself."""
    try:
        problem = msgspec.json.decode(reply.body, type=_Problem)
    except NOT_JSON:
        problem = _Problem()
    note = f"status {reply.status} {problem.code}".rstrip()
    if reply.status == NOT_RECORDED and problem.decision == "deny":
        return PdpAway(next((r.code for r in problem.reasons if r.code in REFUSALS), "pdp.rejected"), note)
    return PdpAway("tool.arguments" if problem.code in ARGUMENTS else "pdp.rejected", note)
