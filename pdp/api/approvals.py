"""Approvals over HTTP (contracts, section 1). To ask is implicit in a decision; here people see, vote and take back.

A key of ours is an adapter, which may watch and withdraw what was asked on its servers. A person comes with a token of
their own, issued for the server `pdp.approvals`; nobody votes with a key.
"""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct

from ..approvals import requests
from ..approvals.bulletin import Bulletin
from ..approvals.electorate import Electorate
from ..approvals.floor import Voter
from ..approvals.requests import Ballot, Row, Ruling
from ..approvals.view import ApprovalShown, ApprovalStatus, presented_digest, shown_to_a_person, status_of
from ..approvals.voters import voter_of
from ..audit.office import Office
from ..enrich import AgentFacts
from ..errors import Fault, Refused, Rejected
from ..identity.peps import Pep
from ..store import approvals as stored
from ..store.sql import StoreUnavailable, reading
from ..vet import Tool
from .decisions import Desk
from .http import header
from .openapi import answers, reads
from .orders import carried_out

B = TypeVar("B", bound=Struct)
KEY = "pdp_"  # how a key of ours begins
MAX_REASON = 500  # characters: read by a person, and handed to a model
LONGEST_WAIT_S = 30.0  # of a request that waits for a decision; whoever waits asks again
MAX_LISTED = 200  # requests in one answer; an inbox that is longer is not read
UNKNOWN = Rejected(404, "approvals.unknown", "There is no such request.")


class VoteBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A vote. `presented_digest` is that of the request as it was shown; `reason` is handed to the model on a no."""

    vote: Literal["approve", "deny"]
    presented_digest: str
    reason: Annotated[str, Meta(max_length=MAX_REASON)] = ""


class TakeBackBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a request is cancelled or an approval revoked."""

    reason: Annotated[str, Meta(max_length=MAX_REASON)] = ""


class Inbox(Struct, frozen=True):
    """The requests that a person may look at, the oldest first."""

    approvals: list[ApprovalShown]


KINDS: list[type] = [ApprovalStatus, ApprovalShown, VoteBody, TakeBackBody, Inbox]
"""What the OpenAPI description names."""


def router(desk: Desk, bulletin: Bulletin) -> APIRouter:
    """Return the routes under `/v1/approvals`."""
    routes = APIRouter(prefix="/v1/approvals", tags=["approvals"])
    counter = _Counter(desk, bulletin)
    _see(routes, counter)
    _act(routes, counter)
    return routes


def _see(routes: APIRouter, counter: "_Counter") -> None:
    keyed: dict[str, Any] = {"security": [{"key": []}]}

    @routes.get("", openapi_extra=keyed, responses=answers("Inbox", 401, 403, 429, 503))
    async def inbox(request: Request) -> Response:
        """Return the open requests that the person who asks did not make themselves."""
        voter = await counter.person(request)
        return _json(Inbox([shown for shown in await counter.listed() if shown.person != voter.id]))

    @routes.get("/{id}", openapi_extra=keyed, responses=answers("ApprovalShown", 400, 401, 403, 404, 429, 503))
    async def show(id: str, request: Request, wait: float = 0.0) -> Response:  # noqa: A002  # contracts, section 1
        """Return a request: its status to an adapter, all of it to a person. With `wait`, once it is decided."""
        pep = await counter.admitted(request)
        found = await counter.waited(id, min(max(wait, 0.0), LONGEST_WAIT_S))
        if pep is None:
            return _json(shown_to_a_person(*found))
        pep.must_serve(found[0]["server"])
        return _json(status_of(found[0], found[2]))


def _act(routes: APIRouter, counter: "_Counter") -> None:
    refusals = (400, 401, 403, 404, 409, 413, 415, 429, 503)

    @routes.post("/{id}/votes", openapi_extra=reads(VoteBody), responses=answers("ApprovalShown", *refusals))
    async def vote(id: str, request: Request) -> Response:  # noqa: A002  # contracts, section 1
        """Vote, as the person whose token this is. The same vote again changes nothing."""
        voter = await counter.person(request)
        await counter.vote(id, voter, await counter.body(request, VoteBody))
        return _json(shown_to_a_person(*await counter.found(id)))

    @routes.post("/{id}/cancel", openapi_extra=reads(TakeBackBody), responses=answers("ApprovalStatus", *refusals))
    async def cancel(id: str, request: Request) -> Response:  # noqa: A002
        """Withdraw a request: an adapter of its server, or the person it was made for."""
        pep = await counter.admitted(request)
        body = await counter.body(request, TakeBackBody)
        found, _, _ = await counter.found(id)
        by = await counter.concerned(request, pep, found, {found["person"]})
        return await counter.carried_out(requests.cancel(counter.office, id, by, body.reason), id)

    @routes.post("/{id}/revoke", openapi_extra=reads(TakeBackBody), responses=answers("ApprovalStatus", *refusals))
    async def revoke(id: str, request: Request) -> Response:  # noqa: A002
        """Take an approval back before it is used: a person who voted, or whom the call is made for; or an adapter."""
        pep = await counter.admitted(request)
        body = await counter.body(request, TakeBackBody)
        found, votes, _ = await counter.found(id)
        by = await counter.concerned(request, pep, found, {found["person"], *(row["person"] for row in votes)})
        return await counter.carried_out(requests.revoke(counter.office, id, by, body.reason), id)


class _Counter:
    """Behind the routes: who stands here, and what they want."""

    def __init__(self, desk: Desk, bulletin: Bulletin) -> None:
        self._desk = desk
        self._world = desk.world
        self._bulletin = bulletin
        self.office = Office(desk.world.store, desk.world.log, desk.world.now)

    async def admitted(self, request: Request) -> Pep | None:
        """Return the adapter that asks, None when it is a person. Raises `Rejected`."""
        if (header(request.scope, b"authorization") or "").partition(" ")[2].startswith(KEY):
            return self._desk.admit(request.scope)
        await self.person(request)
        return None

    async def person(self, request: Request) -> Voter:
        """Return the person who asks; an agent is turned away. Raises `Rejected`."""
        voter = await voter_of(header(request.scope, b"authorization"), self._world)
        if voter.kind != "person" or voter.through is not None:
            raise Rejected(403, "approvals.not_a_person", "Only a person looks at requests, with their own sign-in.")
        return voter

    async def found(self, identifier: str) -> tuple[Row, list[Row], Row | None]:
        """Return a request, its votes and its approval. Raises `Rejected` 404 or 503."""
        try:
            async with reading(self._world.store) as connection:
                request = await stored.read_request(connection, identifier)
                votes = await stored.read_votes(connection, identifier)
                approval = await stored.read_approval(connection, identifier)
        except StoreUnavailable:
            raise Rejected(503, "store.unavailable", "Requests cannot be looked up now.") from None
        if request is None:
            raise UNKNOWN
        return request, votes, approval

    async def waited(self, identifier: str, within_s: float) -> tuple[Row, list[Row], Row | None]:
        """Return the same as `found`, once it is decided or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        found = await self.found(identifier)
        while found[0]["state"] == "open" and (left := until - loop.time()) > 0:
            await self._bulletin.wait(left)
            await requests.sweep(self.office)
            found = await self.found(identifier)
        return found

    async def listed(self) -> list[ApprovalShown]:
        """Return the open requests. Raises `Rejected` 503."""
        await carried_out(requests.sweep(self.office), PROBLEMS)
        async with reading(self._world.store) as connection:
            rows = await stored.read_open_requests(connection, MAX_LISTED)
        return [shown_to_a_person(row, [], None) for row in rows]

    async def vote(self, identifier: str, voter: Voter, body: VoteBody) -> None:
        """Count a vote under the policy in force. Raises `Rejected`."""
        request, votes, _ = await self.found(identifier)
        if any((row["person"], row["vote"]) == (voter.id, body.vote) for row in votes):
            return
        if body.presented_digest != presented_digest(request):
            raise Rejected(409, "approvals.changed", "The request is not what you were shown: look at it again.")
        if request["plan"]["justification"] and not body.reason.strip():
            raise Rejected(400, "approvals.reason", "This request wants a reason with each vote.")
        ballot = Ballot(voter, body.vote, body.reason, body.presented_digest)
        await carried_out(requests.vote(self.office, identifier, ballot, self._rule), PROBLEMS)
        self._bulletin.tell()

    async def body(self, request: Request, kind: type[B]) -> B:
        """Read the body of a request. Raises `Rejected` 400, 413 or 415."""
        _, value = await self._desk.read(request.scope, request.receive)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            raise Rejected(400, "approvals.malformed", f"The body is not a {kind.__name__}.") from None

    async def concerned(self, request: Request, pep: Pep | None, found: Row, people: set[str | None]) -> str:
        """Return who takes a request back, if it is theirs to take back. Raises `Rejected` 403."""
        if pep is not None:
            pep.must_serve(found["server"])
            return pep.id
        voter = await self.person(request)
        if voter.id not in people:
            raise Rejected(403, "approvals.not_concerned", "Only those it concerns take it back.")
        return voter.id

    async def carried_out(self, work: Awaitable[Row], identifier: str) -> Response:
        """Return how a request stands once `work` is done. Raises `Rejected`."""
        await carried_out(work, PROBLEMS)
        self._bulletin.tell()
        request, _, approval = await self.found(identifier)
        return _json(status_of(request, approval))

    async def _rule(self, request: Row, votes: list[Row], ballot: Ballot) -> Ruling:
        caller = request["shown"]["caller"]
        agent = msgspec.convert(caller["agent"], AgentFacts) if "agent" in caller else None
        deadline = asyncio.get_running_loop().time() + self._world.decide_within
        try:
            with self._world.policy.held() as policy:
                tool = msgspec.convert(request["shown"]["tool"], Tool)
                return await Electorate(self._world, policy, tool, agent, deadline).rule(request, votes, ballot)
        except Refused as refusal:
            raise Rejected(503, refusal.code, refusal.meaning.title, headers={"Retry-After": "1"}) from None


PROBLEMS: dict[type[Fault], Rejected] = {Fault: Rejected(409, "approvals.closed", "It is no longer open.")}


def _json(value: Struct) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"Cache-Control": "no-store"})
