"""The desk where people answer: they look a request up, learn whether they may vote on it, vote, and take back.

The API and the console stand before the same desk, so that a page can do no more than a request can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from ..audit.office import Office
from ..enrich import AgentFacts
from ..errors import REFUSALS, Fault, Refused, Rejected, Unrecorded
from ..registry.states import refusal
from ..store import approvals as stored
from ..store.sql import StoreUnavailable, reading
from ..times import parse_rfc3339
from ..vet import Tool
from . import requests
from .bulletin import Bulletin
from .electorate import Electorate, stages_of, votes_of
from .floor import Voter, behind, check_voter
from .requests import Ballot, Row, Ruling
from .review import Missing
from .sweeping import Sweeping
from .view import presented_digest

if TYPE_CHECKING:
    from ..flow import World

MAX_REASON = 500  # characters: read by a person, and handed to a model
MAX_LISTED = 200  # requests in one answer; an inbox that is longer is not read
MAX_PAGES = 25  # of as many requests each, looked through for one inbox: more than callers of one service may have open
MAX_DENIED = 3  # earlier refusals on the page of a request: a habit shows, and each is looked at for who may see it
UNKNOWN = Rejected(404, "approvals.unknown", "There is no such request.")
SWEEPS_WITHIN_S = 0.5  # who looks at requests does not wait longer for others' to be marked
ACTS_WITHIN_S = 4.0  # a write takes milliseconds; a person whom nobody answers asks again
UNSURE = Rejected(
    503,
    "store.unavailable",
    "The store takes too long: look at the request again, to see whether this was done.",
    headers={"Retry-After": "1"},
)
AWAY = Rejected(503, "store.unavailable", "Requests cannot be looked up now.", headers={"Retry-After": "1"})
CLOSED = Rejected(409, "approvals.closed", "It is no longer open.")


class Found(NamedTuple):
    """A request, the votes on it, and the approval that came of it."""

    request: Row
    votes: list[Row]
    approval: Row | None


class Answer(NamedTuple):
    """A vote as it comes in; `presented_digest` is that of the request as it was shown."""

    vote: Literal["approve", "deny"]
    presented_digest: str
    reason: str


class Outlook(NamedTuple):
    """What a request still wants, and why this person may not vote on it; None when they may."""

    missing: list[Missing]
    barred: Rejected | None


Voted = Callable[[str, float], None]
"""Told of each vote that was counted: what it was, and how many seconds after the request was opened."""


@dataclass(frozen=True)
class VotingDesk:
    """Answers and shows requests, under the policy in force; tells the bulletin what changed."""

    world: World
    bulletin: Bulletin
    sweeping: Sweeping
    voted: Voted = lambda _vote, _after_s: None

    @property
    def office(self) -> Office:
        """Return where transitions are made and recorded."""
        return Office(self.world.store, self.world.log, self.world.now)

    async def found(self, identifier: str) -> Found:
        """Return a request, its votes and its approval. Raises `Rejected` 404 or 503."""
        try:
            async with reading(self.world.store) as connection:
                request = await stored.read_request(connection, identifier)
                votes = await stored.read_votes(connection, identifier)
                approval = await stored.read_approval(connection, identifier)
        except StoreUnavailable:
            raise AWAY.fresh() from None
        if request is None:
            raise UNKNOWN.fresh()
        return Found(request, votes, approval)

    async def found_for(self, identifier: str, voter: Voter) -> Found:
        """Return the same as `found` to a person whom it concerns; to others there is no such request.

        It concerns those behind the call, those who voted on it, and those whom the policy in force would let vote.
        """
        found = await self.found(identifier)
        near = behind(requests.asked_in(found.request)) | {row["person"] for row in found.votes}
        if voter.id in near or await self._is_asked(found.request, voter):
            return found
        raise UNKNOWN.fresh()

    async def waited(self, look: Callable[[], Awaitable[Found]], within_s: float) -> Found:
        """Return what `look` finds, once it is decided, the time is up, or the service is about to stop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        found = await look()
        while found.request["state"] == "open" and (left := until - loop.time()) > 0 and not self.bulletin.hushed:
            await self.bulletin.wait(left)
            await self.sweeping.soon_done(SWEEPS_WITHIN_S)
            found = await look()
        return found

    async def opened(self, voter: Voter) -> list[Row]:
        """Return the open requests that this person is asked about, those first that run out first.

        Raises `Rejected` 503.
        """
        await self.sweeping.soon_done(SWEEPS_WITHIN_S)
        answers: dict[bytes, bool] = {}  # requests that differ in nothing policy looks at are asked about once
        listed: list[Row] = []
        async for row in self._all_open():
            if voter.id in behind(requests.asked_in(row)):
                continue
            asked = msgspec.json.encode(
                (row["plan"]["stages"], row["shown"]["tool"], row["shown"]["caller"].get("agent"))
            )
            if asked not in answers:
                answers[asked] = await self._is_asked(row, voter)
            listed += [row] if answers[asked] else []
            if len(listed) == MAX_LISTED:
                break
        return listed

    async def _all_open(self) -> AsyncIterator[Row]:
        """Yield open requests a page at a time, so that what waits for others hides nothing from anybody."""
        after = ("", "")
        for _ in range(MAX_PAGES):
            try:
                async with reading(self.world.store) as connection:
                    rows = await stored.read_open_requests(connection, MAX_LISTED, after)
            except StoreUnavailable:
                raise AWAY.fresh() from None
            for row in rows:
                yield row
            if len(rows) < MAX_LISTED:
                return
            after = rows[-1]["expires_at"], rows[-1]["id"]

    async def decided(self, voter: Voter, limit: int) -> list[Row]:
        """Return the requests not open any more that a person voted on or that were made for them, the newest first.

        Raises `Rejected` 503.
        """
        try:
            async with reading(self.world.store) as connection:
                return await stored.read_closed_requests(connection, voter.id, limit)
        except StoreUnavailable:
            raise AWAY.fresh() from None

    async def approved_before(self, request: Row, voter: Voter) -> Row | None:
        """Return the last request for the same tool that people agreed to, if this person may see it.

        Raises `Rejected` 503.
        """
        try:
            async with reading(self.world.store) as connection:
                before = await stored.read_approved_before(connection, request)
        except StoreUnavailable:
            raise AWAY.fresh() from None
        return before if before is not None and await self._is_asked(before, voter) else None

    async def denied_before(self, request: Row, voter: Voter) -> list[Row]:
        """Return the last refused requests of the same caller for the same tool, those that this person may see.

        Raises `Rejected` 503.
        """
        try:
            async with reading(self.world.store) as connection:
                rows = await stored.read_denied_before(connection, request, MAX_DENIED)
        except StoreUnavailable:
            raise AWAY.fresh() from None
        return [row for row in rows if voter.id in behind(requests.asked_in(row)) or await self._is_asked(row, voter)]

    async def outlook(self, found: Found, voter: Voter) -> Outlook:
        """Say what an open request still wants, and whether this person may vote. Raises `Rejected` 503."""
        async with self._electorate(found.request) as electorate:
            stages = stages_of(found.request)
            counted = await electorate.counted(stages, votes_of(found.votes))
            missing = (await electorate.stands(stages, counted)).missing
            try:
                check_voter(voter, requests.asked_in(found.request), frozenset(row["person"] for row in found.votes))
            except Rejected as rejected:
                return Outlook(missing, rejected)
            may = [await electorate.may(voter.id, stage) for stage in stages]
        others = Rejected(403, "approvals.not_eligible", "Others are asked about this call; you are not among them.")
        return Outlook(missing, None if any(may) else others)

    async def vote(self, identifier: str, voter: Voter, answer: Answer) -> None:
        """Count a vote under the policy in force; the same vote again changes nothing. Raises `Rejected`."""
        request, votes, _ = await self.found_for(identifier, voter)
        if any((row["person"], row["vote"]) == (voter.id, answer.vote) for row in votes):
            return
        if answer.presented_digest != presented_digest(request):
            raise Rejected(409, "approvals.changed", "The request is not what you were shown: look at it again.")
        if request["plan"]["justification"] and not answer.reason.strip():
            raise Rejected(400, "approvals.reason", "This request wants a reason with each vote.")
        if len(answer.reason) > MAX_REASON:
            raise Rejected(400, "approvals.reason", f"A reason has at most {MAX_REASON} characters.")
        await self._must_be_of_use(request)
        ballot = Ballot(voter, answer.vote, answer.reason, answer.presented_digest)
        await self._done(requests.vote(self.office, identifier, ballot, self._rule))
        self.voted(answer.vote, (self.world.now() - parse_rfc3339(request["opened_at"])).total_seconds())
        self.bulletin.tell()

    def wrong_with(self, request: Row) -> str:
        """Say what is wrong with the tool of a request by now; nothing when its definition is approved.

        Raises `Refused` when that cannot be known.
        """
        statuses = self.world.tools.find(request["server"], request["tool"]).statuses
        wrong = refusal(statuses, request["definition_digest"] or None)
        return REFUSALS[wrong[0]].title if wrong else ""

    async def _must_be_of_use(self, request: Row) -> None:
        """Close a request whose tool may not be called any more, with `Rejected` 409; 503 when that is not known."""
        try:
            wrong = self.wrong_with(request)
        except Refused as stale:
            raise Rejected(503, stale.code, stale.meaning.title, headers={"Retry-After": "1"}) from None
        if wrong:
            await self.carried_out(requests.supersede(self.office, request["id"], wrong), request["id"])
            raise Rejected(
                409, "approvals.superseded", f"{wrong.rstrip('.')}: this call can no longer run, whoever agrees."
            )

    async def carried_out(self, work: Awaitable[Row], identifier: str) -> Found:
        """Return how a request stands once `work` on it is done. Raises `Rejected`."""
        await self._done(work)
        self.bulletin.tell()
        return await self.found(identifier)

    async def _is_asked(self, request: Row, voter: Voter) -> bool:
        async with self._electorate(request) as electorate:
            return any([await electorate.may(voter.id, stage) for stage in stages_of(request)])

    async def _rule(self, request: Row, votes: list[Row], ballot: Ballot) -> Ruling:
        async with self._electorate(request) as electorate:
            return await electorate.rule(request, votes, ballot)

    @asynccontextmanager
    async def _electorate(self, request: Row) -> AsyncIterator[Electorate]:
        """Yield those who may vote on a request, under the policy in force. A refusal inside becomes a 503."""
        caller = request["shown"]["caller"]
        agent = msgspec.convert(caller["agent"], AgentFacts) if "agent" in caller else None
        deadline = asyncio.get_running_loop().time() + self.world.decide_within
        try:
            with self.world.policy.held() as policy:
                tool = msgspec.convert(request["shown"]["tool"], Tool)
                yield Electorate(self.world, policy, tool, agent, deadline)
        except Refused as refusal:
            raise Rejected(503, refusal.code, refusal.meaning.title, headers={"Retry-After": "1"}) from None

    async def _done(self, work: Awaitable[Any]) -> None:
        by = asyncio.get_running_loop().time() + ACTS_WITHIN_S
        try:
            await self.world.deadlines.keep(by, work)
        except TimeoutError:
            raise UNSURE.fresh() from None
        except Unrecorded:
            raise
        except StoreUnavailable:
            raise AWAY.fresh() from None
        except Fault:
            raise CLOSED.fresh() from None
