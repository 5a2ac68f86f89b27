"""Signals over HTTP (contracts, section 1): evidence for risk, from whoever watches. Scope `signals`."""

from collections.abc import Awaitable

import msgspec
from fastapi import APIRouter, Request, Response

from ..audit.office import Office
from ..errors import Fault, Rejected
from ..identity.signals import Contradicted, NotConcerned, SignalBody, Taken, receive, withdraw
from .decisions import Desk
from .openapi import answers, reads
from .orders import carried_out

PROBLEMS: dict[type[Fault], Rejected] = {
    Contradicted: Rejected(409, "signal.conflict", "Another signal was taken under this id."),
    NotConcerned: Rejected(404, "signal.unknown", "There is nothing of that kind and id."),
    Fault: Rejected(400, "signal.refused", "Its code, weight or times cannot be; the PDP's log says what."),
}
KINDS: list[type] = [SignalBody, Taken]
"""What the OpenAPI description names."""


def router(desk: Desk) -> APIRouter:
    """Return the routes of `/v1/signals`."""
    routes = APIRouter(prefix="/v1", tags=["signals"])
    office = Office(desk.store, desk.world.log, desk.world.now)

    @routes.post(
        "/signals",
        openapi_extra=reads(SignalBody),
        responses=answers("Taken", 404, 409, 413, 415, 503),
    )
    async def take(request: Request) -> Response:
        """Take a signal about a person, an agent or a session, once; the same again gets the same answer."""
        pep = desk.admit(request.scope, "signals")
        _, value = await desk.read(request.scope, request.receive)
        return await _sent(receive(office, _body(value), pep.id, desk.world.policy.active.pack.weights), desk)

    @routes.delete(
        "/signals/{id:path}",
        openapi_extra={"security": [{"key": []}]},
        responses=answers("Taken", 404, 503),
    )
    async def take_back(id: str, request: Request) -> Response:  # noqa: A002  # as the source named it
        """Withdraw a signal that this key sent; returns what it was."""
        pep = desk.admit(request.scope, "signals")
        return await _sent(withdraw(office, id, pep.id), desk)

    return routes


def _body(value: object) -> SignalBody:
    try:
        return msgspec.convert(value, SignalBody)
    except msgspec.ValidationError:
        raise Rejected(400, "signal.malformed", "The body is not a signal.") from None


async def _sent(work: Awaitable[Taken], desk: Desk) -> Response:
    taken = await carried_out(work, PROBLEMS)
    await carried_out(desk.world.people.poll(), PROBLEMS)  # this replica need not wait for the next poll
    sent = msgspec.json.encode(taken)
    return Response(sent, media_type="application/json", headers={"Cache-Control": "no-store"})
