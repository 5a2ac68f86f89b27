"""Approvals over HTTP (contracts, section 1). To ask is implicit in a decision; here people see, vote and take back.

A key of ours is an adapter, which may watch and withdraw what was asked on its servers. A person comes with a token of
their own, issued for the server `pdp.approvals`; nobody votes with a key.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct

from ..approvals import requests
from ..approvals.desk import MAX_REASON, Answer, VotingDesk
from ..approvals.floor import Voter
from ..approvals.requests import Row
from ..approvals.view import ApprovalShown, ApprovalStatus, shown_to_a_person, status_of
from ..approvals.voters import person_of
from ..errors import Rejected
from ..identity.peps import Pep
from .decisions import Desk
from .http import header
from .openapi import answers, reads

B = TypeVar("B", bound=Struct)
KEY = "pdp_"  # how a key of ours begins
LONGEST_WAIT_S = 30.0  # of a request that waits for a decision; whoever waits asks again


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


def router(desk: Desk, voting: VotingDesk) -> APIRouter:
    """Return the routes under `/v1/approvals`."""
    routes = APIRouter(prefix="/v1/approvals", tags=["approvals"])
    counter = _Counter(desk, voting)
    _see(routes, counter)
    _act(routes, counter)
    return routes


def _see(routes: APIRouter, counter: "_Counter") -> None:
    keyed: dict[str, Any] = {"security": [{"key": []}]}

    @routes.get("", openapi_extra=keyed, responses=answers("Inbox", 401, 403, 429, 503))
    async def inbox(request: Request) -> Response:
        """Return the open requests that the person who asks did not make themselves."""
        voter = await counter.person(request)
        return _json(Inbox([shown_to_a_person(row, [], None) for row in await counter.voting.opened(voter)]))

    @routes.get("/{id}", openapi_extra=keyed, responses=answers("ApprovalShown", 400, 401, 403, 404, 429, 503))
    async def show(id: str, request: Request, wait: float = 0.0) -> Response:  # noqa: A002  # contracts, section 1
        """Return a request: its status to an adapter, all of it to a person. With `wait`, once it is decided."""
        pep = await counter.admitted(request)
        found = await counter.voting.waited(id, min(max(wait, 0.0), LONGEST_WAIT_S))
        if pep is None:
            return _json(shown_to_a_person(*found))
        pep.must_serve(found.request["server"])
        return _json(status_of(found.request, found.approval))


def _act(routes: APIRouter, counter: "_Counter") -> None:
    refusals = (400, 401, 403, 404, 409, 413, 415, 429, 503)

    @routes.post("/{id}/votes", openapi_extra=reads(VoteBody), responses=answers("ApprovalShown", *refusals))
    async def vote(id: str, request: Request) -> Response:  # noqa: A002  # contracts, section 1
        """Vote, as the person whose token this is. The same vote again changes nothing."""
        voter = await counter.person(request)
        sent, body = await counter.body(request, VoteBody)

        async def done() -> bytes:
            await counter.voting.vote(id, voter, Answer(body.vote, body.presented_digest, body.reason))
            return msgspec.json.encode(shown_to_a_person(*await counter.voting.found(id)))

        return await counter.once(request, voter.id, sent, done)

    @routes.post("/{id}/cancel", openapi_extra=reads(TakeBackBody), responses=answers("ApprovalStatus", *refusals))
    async def cancel(id: str, request: Request) -> Response:  # noqa: A002
        """Withdraw a request: an adapter of its server, or the person it was made for."""
        pep = await counter.admitted(request)
        sent, body = await counter.body(request, TakeBackBody)
        found, _, _ = await counter.voting.found(id)
        by = await counter.concerned(request, pep, found, {found["person"]})

        async def done() -> bytes:
            stands = await counter.voting.carried_out(requests.cancel(counter.voting.office, id, by, body.reason), id)
            return msgspec.json.encode(status_of(stands.request, stands.approval))

        return await counter.once(request, by, sent, done)

    @routes.post("/{id}/revoke", openapi_extra=reads(TakeBackBody), responses=answers("ApprovalStatus", *refusals))
    async def revoke(id: str, request: Request) -> Response:  # noqa: A002
        """Take an approval back before it is used: a person who voted, or whom the call is made for; or an adapter."""
        pep = await counter.admitted(request)
        sent, body = await counter.body(request, TakeBackBody)
        found, votes, _ = await counter.voting.found(id)
        by = await counter.concerned(request, pep, found, {found["person"], *(row["person"] for row in votes)})

        async def done() -> bytes:
            stands = await counter.voting.carried_out(requests.revoke(counter.voting.office, id, by, body.reason), id)
            return msgspec.json.encode(status_of(stands.request, stands.approval))

        return await counter.once(request, by, sent, done)


class _Counter:
    """Behind the routes: who stands here, and what they want."""

    def __init__(self, desk: Desk, voting: VotingDesk) -> None:
        self._desk = desk
        self.voting = voting

    async def admitted(self, request: Request) -> Pep | None:
        """Return the adapter that asks, None when it is a person. Raises `Rejected`."""
        if (header(request.scope, b"authorization") or "").partition(" ")[2].startswith(KEY):
            return self._desk.admit(request.scope)
        await self.person(request)
        return None

    async def person(self, request: Request) -> Voter:
        """Return the person who asks; an agent is turned away. Raises `Rejected`."""
        return await person_of(header(request.scope, b"authorization"), self._desk.world)

    async def body(self, request: Request, kind: type[B]) -> tuple[bytes, B]:
        """Read the body of a request, as sent and as meant. Raises `Rejected` 400, 413 or 415."""
        sent, value = await self._desk.read(request.scope, request.receive)
        try:
            return sent, msgspec.convert(value, kind)
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

    async def once(
        self, request: Request, who: str, sent: bytes, done: Callable[[], Coroutine[Any, Any, bytes]]
    ) -> Response:
        """Return what `done` says, or said to the same Idempotency-Key of the same caller; another request is a 409."""
        key = header(request.scope, b"idempotency-key")
        asked = request.url.path.encode() + b"\0" + sent
        return _sent(await self._desk.replays.once(f"approvals {who}", key, asked, done))


def _sent(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _json(value: Struct) -> Response:
    return _sent(msgspec.json.encode(value))
