"""Requests and approvals on their way: asked, voted on, used, taken back. Each transition is recorded as it is made.

The record is written inside the transaction of its transition: what cannot be recorded does not happen. What others are
told of it (`notify.py`) goes into the outbox there too. What policy has to say about a vote is asked for outside, on a
version of the request; when that version has moved on, it is asked anew.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple

from ..audit.office import Office
from ..errors import Fault, PdpError, Rejected
from ..ids import new_id
from ..store import approvals as store
from ..store.sql import StoreConnection, reading, transaction
from .floor import Asked, Voter, check_voter
from .notify import announce, foresee
from .states import RECORDED_AS, RequestStep, request_after

Row = dict[str, Any]
DENIED_FOR_S = 600  # the same call is not put to people again so soon; an agent in a loop would wear them out
WITHDRAWN_COUNTS_S = 600  # as if it were open: asked and cancelled in turns, it would tell people without an end
MOST_OPEN = 20  # questions a person and agent may have open: more than a person looks through
ATTEMPTS = 8  # two approvers at once need two; more than this is a storm, and the voter tries again


class Denied(PdpError):
    """People refused this very call a moment ago; `feedback` is what they said."""

    def __init__(self, feedback: str) -> None:
        super().__init__(feedback)
        self.feedback = feedback


class Terms(NamedTuple):
    """What policy planned: seconds to decide, then seconds to execute, and how many times.

    Seconds until those who are asked are reminded, and until others are told; 0 is never.
    """

    decide_within_s: int
    execute_within_s: int
    uses: int
    remind_after_s: int = 0
    escalate_after_s: int = 0


class Ballot(NamedTuple):
    """A vote as it was given; `presented_digest` says what the voter had before their eyes."""

    voter: Voter
    vote: Literal["approve", "deny"]
    reason: str
    presented_digest: str


class Ruling(NamedTuple):
    """What policy says of a ballot: the stage it counts in, and the step the request takes with it."""

    stage: str
    step: Literal["vote", "approve", "deny"]


Rule = Callable[[Row, list[Row], Ballot], Awaitable[Ruling]]
"""Asks policy about a ballot on a request with these votes. Raises `Rejected` 403 when the voter is not eligible."""


async def ask(office: Office, call: Row, terms: Terms) -> tuple[Row, bool]:
    """Open a request for a call, or return the one that is open for the same call; and whether it is new.

    `call` has the columns of `approval_requests` that describe it; `plan` is what policy planned. Raises `Denied` while
    a no to the same call is fresh, and `Rejected` 429 when this caller has as many open questions as one may have.
    """
    async with transaction(office.store) as connection:
        await _must_ask(connection, call)  # first: what is recorded here must not be rolled back by a no
        await _expire(office, connection, call["action_digest"])
        identifier = new_id("apr", office.now())
        opened = await store.open_request(connection, {"id": identifier, "feedback": "", **call}, terms.decide_within_s)
        if opened is not None:
            await _record(office, connection, "open", opened, gates=call["gates"], decision=call["decision"])
            await foresee(office, connection, opened, remind=terms.remind_after_s, escalate=terms.escalate_after_s)
            return opened, True
        found = await store.read_open_request(connection, call["action_digest"])
        if found is None:
            raise Fault("A request was open and was not found: the store is not one this release wrote.")
        await _record(office, connection, "attach", found, decision=call["decision"])
        return found, False


async def _must_ask(connection: StoreConnection, call: Row) -> None:
    """Nobody is asked twice in a row about what they refused, and no caller floods those who answer."""
    refused = await store.read_denied(connection, call["action_digest"], DENIED_FOR_S)
    if refused is not None:
        raise Denied(refused["feedback"])
    caller = call["person"], call["agent"]
    asked = await store.count_open_requests(connection, *caller, call["action_digest"], WITHDRAWN_COUNTS_S)
    if asked >= MOST_OPEN:
        raise Rejected(
            429, "approvals.too_many", f"{MOST_OPEN} calls of this caller wait for people or were just withdrawn."
        )


async def vote(office: Office, identifier: str, ballot: Ballot, rule: Rule) -> Row:
    """Count a ballot and return the request as it stands then.

    Raises `Rejected`: 404 unknown, 409 closed or voted before, 403 when the floor or policy bars the voter.
    """
    for _ in range(ATTEMPTS):
        request, votes = await _open(office, identifier)
        check_voter(ballot.voter, asked_in(request), frozenset(row["person"] for row in votes))
        ruling = await rule(request, votes, ballot)
        moved = await _count(office, request, ballot, ruling)
        if moved is not None:
            return moved
    raise Rejected(409, "approvals.busy", "Others are voting on this request: look at it again, then vote.")


async def cancel(office: Office, identifier: str, by: str, reason: str) -> Row:
    """Withdraw the question. Raises `Rejected` 404 or 409."""
    return await _close(office, identifier, "cancel", by=by, reason=reason)


async def supersede(office: Office, identifier: str, why: str) -> Row:
    """Close a request that no longer asks about what would run. Raises `Rejected` 404 or 409."""
    return await _close(office, identifier, "supersede", why=why)


async def use(office: Office, identifier: str, action_digest: str, decision: str) -> Row:
    """Use an approval once, for the decision that is being taken. Raises `Rejected` 409 when it cannot be used."""
    async with transaction(office.store) as connection:
        used = await store.use_approval(connection, identifier, action_digest)
        if used is None:
            raise Rejected(409, "approvals.spent", "There is no such approval for this call, or no longer.")
        step = "spend" if used["state"] == "spent" else "use"
        await _record(office, connection, step, used, decision=decision)
        return used


async def revoke(office: Office, identifier: str, by: str, reason: str) -> Row:
    """Take an approval back before it is used. Raises `Rejected` 409 when it is not active."""
    async with transaction(office.store) as connection:
        revoked = await store.revoke_approval(connection, identifier)
        if revoked is None:
            raise Rejected(409, "approvals.spent", "This approval is not active: it was used, ran out or was revoked.")
        await _record(office, connection, "revoke", revoked, by=by, reason=reason)
        return revoked


async def sweep(office: Office) -> None:
    """Mark and record what ran out, a few at a time. Lateness is harmless: each transition looks at the time itself."""
    while await _has_run_out(office):
        async with transaction(office.store) as connection:
            await _expire(office, connection)


async def _has_run_out(office: Office) -> bool:
    async with reading(office.store) as connection:
        return await store.has_run_out(connection)


def asked_in(request: Row) -> Asked:
    """Return who stands behind the call of a request."""
    return Asked(request["person"], request["agent"], tuple(request["chain"]), tuple(request["owners"]))


async def _open(office: Office, identifier: str) -> tuple[Row, list[Row]]:
    async with reading(office.store) as connection:
        request = await store.read_request(connection, identifier)
        votes = await store.read_votes(connection, identifier)
    if request is None:
        raise Rejected(404, "approvals.unknown", "There is no such request.")
    if request["state"] != "open":
        raise Rejected(409, "approvals.closed", f"The request is {request['state']}: nothing can be decided any more.")
    return request, votes


async def _count(office: Office, request: Row, ballot: Ballot, ruling: Ruling) -> Row | None:
    """Write a ballot and the step it makes, together; None when the request has moved on meanwhile."""
    feedback = ballot.reason if ruling.step == "deny" else ""
    async with transaction(office.store) as connection:
        await _expire(office, connection, request["action_digest"])
        state = request_after(request["state"], ruling.step)
        moved = await store.move_request(connection, request["id"], request["version"], state, feedback)
        if moved is None:
            return None
        cast = {"request": request["id"], "person": ballot.voter.id, "vote": ballot.vote, "stage": ruling.stage}
        rest = {"reason": ballot.reason, "presented_digest": ballot.presented_digest}
        if await store.add_vote(connection, {**cast, **rest}) is None:
            raise Fault("A vote stood in the store at a version that did not count it.")
        await _record(office, connection, "vote", moved, **cast, **rest)
        if ruling.step == "vote":
            return moved
        await _revoke_earlier(office, connection, moved)
        if ruling.step == "approve":
            await _grant(connection, moved)
        await _record(office, connection, ruling.step, moved, by=ballot.voter.id)
        return moved


async def _revoke_earlier(office: Office, connection: StoreConnection, request: Row) -> None:
    """What people said last of a call counts: an approval given before ends, be it with another or with a no."""
    for earlier in await store.revoke_approvals_of(connection, request["action_digest"]):
        await _record(office, connection, "revoke", earlier, reason=f"{request['state']} anew: {request['id']}")


async def _grant(connection: StoreConnection, request: Row) -> None:
    plan = request["plan"]
    if await store.grant(connection, request, plan["uses"], plan["execute_within_s"]) is None:
        raise Fault("An approval stands in the store that was just revoked.")


async def _close(office: Office, identifier: str, step: RequestStep, **words: str) -> Row:
    for _ in range(ATTEMPTS):
        request, _votes = await _open(office, identifier)
        async with transaction(office.store) as connection:
            await _expire(office, connection, request["action_digest"])
            state = request_after(request["state"], step)
            moved = await store.move_request(connection, identifier, request["version"], state)
            if moved is not None:
                await _record(office, connection, step, moved, **words)
                return moved
    raise Rejected(409, "approvals.busy", "Others are voting on this request: look at it again.")


async def _expire(office: Office, connection: StoreConnection, action_digest: str | None = None) -> None:
    """Mark and record some of what ran out; of one action, all."""
    for request in await store.expire_requests(connection, action_digest):
        await _record(office, connection, "expire", request)
    for approval in await store.expire_approvals(connection, action_digest):
        await _record(office, connection, "lapse", approval)


async def _record(office: Office, connection: StoreConnection, step: Any, row: Row, **more: Any) -> None:
    # never the row's own digest: who holds the log could try masked values until they give it
    what = {"uses_left": row["uses_left"]} if "uses_left" in row else {"version": row["version"]}
    action = {"action_digest": row["shown"]["action"]} if "shown" in row else {}  # an approval has its request's id
    await office.put_on_record(RECORDED_AS[step], {"id": row["id"], "state": row["state"], **action, **what, **more})
    await announce(office, connection, step, row)
