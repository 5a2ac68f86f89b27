"""Approvals over HTTP (contracts, section 1). To ask is implicit in a decision; here people see, vote and take back.

A key of ours is an adapter, which may watch and withdraw what was asked on its servers. A person comes with a token of
their own, issued for the server `pdp.approvals`; nobody votes with a key.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta, Struct

from ..approvals import requests
from ..approvals.desk import MAX_REASON, UNKNOWN, Answer, Found, VotingDesk
from ..approvals.floor import Voter
from ..approvals.view import ApprovalShown, ApprovalStatus, shown_to_a_person, status_of
from ..approvals.voters import person_of
from ..approvals.withdrawal import NOT_CONCERNED, Withdrawal, those_concerned
from ..errors import Rejected
from ..identity.peps import Pep
from .admission import Places
from .decisions import Desk
from .http import header
from .idempotency import Replays
from .openapi import answers, one_of, reads

B = TypeVar("B", bound=Struct)
KEY = "pdp_"  # how a key of ours begins
ADAPTERS_WAIT, PEOPLE_WAIT, ONE_PERSON_WAITS = 1024, 256, 8  # at once; each wait looks at the store every second
MOST_KEPT = 200  # answers to keyed acts of one person or adapter: each may be a page as large as the call it shows
WITHDRAWN = {"cancel": requests.cancel, "revoke": requests.revoke}
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
    """The requests that a person is asked about, those first that run out first."""

    approvals: list[ApprovalShown]


SCHEMAS = {"ApprovalSeen": one_of("ApprovalStatus", "ApprovalShown")}  # to an adapter, and to a person
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

    @routes.get("", openapi_extra=keyed, responses=answers("Inbox", 503))
    async def inbox(request: Request) -> Response:
        """Return the open requests that the person who asks may vote on, under the policy in force."""
        voter = await counter.person(request)
        waiting = await counter.voting.opened(voter)
        return _json(msgspec.json.encode(Inbox([shown_to_a_person(row, [], None) for row in waiting])))

    @routes.get("/{id}", openapi_extra=keyed, responses=answers("ApprovalSeen", 404, 503))
    async def show(id: str, request: Request, wait: float = 0.0) -> Response:  # noqa: A002  # contracts, section 1
        """Return a request: its status to an adapter, all of it to a person. With `wait`, once it is decided."""
        who = await counter.admitted(request)
        with counter.patience(who, wait) as within_s:
            found = await counter.voting.waited(lambda: counter.found(who, id), within_s)
        person = isinstance(who, Voter)
        return _json(
            msgspec.json.encode(shown_to_a_person(*found) if person else status_of(found.request, found.approval))
        )


def _act(routes: APIRouter, counter: "_Counter") -> None:
    refusals = (404, 409, 413, 415, 503)

    @routes.post("/{id}/votes", openapi_extra=reads(VoteBody), responses=answers("ApprovalShown", *refusals))
    async def vote(id: str, request: Request) -> Response:  # noqa: A002  # contracts, section 1
        """Vote, as the person whose token this is. The same vote again changes nothing; see Idempotency-Key too."""
        voter = await counter.person(request)
        raw, body = await counter.body(request, VoteBody)

        async def voted() -> bytes:
            await counter.voting.vote(id, voter, Answer(body.vote, body.presented_digest, body.reason))
            return msgspec.json.encode(shown_to_a_person(*await counter.voting.found(id)))

        return await counter.once(request, voter, raw, voted)

    @routes.post("/{id}/cancel", openapi_extra=reads(TakeBackBody), responses=answers("ApprovalStatus", *refusals))
    async def cancel(id: str, request: Request) -> Response:  # noqa: A002
        """Withdraw a request: an adapter of its server, the person or the agent's owner it was made for."""
        return await counter.withdraw(request, id, "cancel")

    @routes.post("/{id}/revoke", openapi_extra=reads(TakeBackBody), responses=answers("ApprovalStatus", *refusals))
    async def revoke(id: str, request: Request) -> Response:  # noqa: A002
        """Take an approval back before it is used: by who may cancel, or who voted."""
        return await counter.withdraw(request, id, "revoke")


class _Counter:
    """Behind the routes: who stands here, and what they want."""

    def __init__(self, desk: Desk, voting: VotingDesk) -> None:
        self._desk = desk
        self._replays = Replays(most=MOST_KEPT)
        self._waits = {Pep: Places(ADAPTERS_WAIT), Voter: Places(PEOPLE_WAIT, ONE_PERSON_WAITS)}
        self.voting = voting

    async def admitted(self, request: Request) -> Pep | Voter:
        """Return the adapter or the person that asks. Raises `Rejected`."""
        if (header(request.scope, b"authorization") or "").partition(" ")[2].startswith(KEY):
            return self._desk.admit(request.scope)
        return await self.person(request)

    async def found(self, who: Pep | Voter, identifier: str) -> Found:
        """Return a request to an adapter of its server, or to a person whom it concerns. Raises `Rejected`."""
        if isinstance(who, Voter):
            return await self.voting.found_for(identifier, who)
        found = await self.voting.found(identifier)
        if not who.serves(found.request["server"]):
            raise UNKNOWN.fresh()  # as for none at all, or ids could be tried for which of them exist
        return found

    async def person(self, request: Request) -> Voter:
        """Return the person who asks; an agent is turned away. Raises `Rejected`."""
        return await person_of(header(request.scope, b"authorization"), self._desk.world)

    @contextmanager
    def patience(self, who: Pep | Voter, wanted_s: float) -> Iterator[float]:
        """Yield how many seconds this caller may wait here: none while too many do, which they learn by the answer."""
        with self._waits[type(who)].patience(who.id, min(max(wanted_s, 0.0), LONGEST_WAIT_S)) as within_s:
            yield within_s

    async def body(self, request: Request, kind: type[B]) -> tuple[bytes, B]:
        """Return the body of a request, as it came and as it reads. Raises `Rejected` 400, 413 or 415."""
        raw, value = await self._desk.read(request.scope, request.receive)
        try:
            return raw, msgspec.convert(value, kind)
        except msgspec.ValidationError:
            raise Rejected(400, "approvals.malformed", f"The body is not a {kind.__name__}.") from None

    async def once(
        self, request: Request, who: Pep | Voter, raw: bytes, act: Callable[[], Coroutine[Any, Any, bytes]]
    ) -> Response:
        """Return what `act` gives, or gave to the same Idempotency-Key, path and body. Raises `Rejected`, 409 too."""
        key = header(request.scope, b"idempotency-key")
        body = request.url.path.encode() + b"\n" + raw
        return _json(await self._replays.once(f"{type(who).__name__} {who.id}", key, body, act))

    async def withdraw(self, request: Request, identifier: str, step: Withdrawal) -> Response:
        """Take a question or a right back, and return how it stands then. Raises `Rejected`."""
        who = await self.admitted(request)
        raw, body = await self.body(request, TakeBackBody)

        async def withdrawn() -> bytes:
            found, votes, _ = await self.found(who, identifier)
            by = concerned(who, those_concerned(step, found, votes))
            done = WITHDRAWN[step](self.voting.office, identifier, by, body.reason)
            now = await self.voting.carried_out(done, identifier)
            return msgspec.json.encode(status_of(now.request, now.approval))

        return await self.once(request, who, raw, withdrawn)


def concerned(who: Pep | Voter, people: frozenset[str]) -> str:
    """Return who takes a request back, if it is theirs to take back. Raises `Rejected` 403."""
    if isinstance(who, Voter) and who.id not in people:
        raise NOT_CONCERNED.fresh()
    return who.id


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})
