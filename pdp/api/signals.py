"""Signals over HTTP (contracts, section 1): evidence for risk, from whoever watches. Scope `signals`."""

import logging

import msgspec
from fastapi import APIRouter, Request, Response

from ..audit.office import Office
from ..errors import Fault, Rejected, Unrecorded
from ..identity.signals import Contradicted, NotConcerned, SignalBody, Taken, receive
from ..store.sql import StoreUnavailable
from .decisions import Desk
from .openapi import answers, reads

KINDS: list[type] = [SignalBody, Taken]
"""What the OpenAPI description names."""

logger = logging.getLogger(__name__)


def router(desk: Desk) -> APIRouter:
    """Return the route `POST /v1/signals`."""
    routes = APIRouter(prefix="/v1", tags=["signals"])
    office = Office(desk.store, desk.world.log, desk.world.now)

    @routes.post(
        "/signals",
        openapi_extra=reads(SignalBody),
        responses=answers("Taken", 400, 401, 403, 404, 409, 413, 415, 429, 503),
    )
    async def take(request: Request) -> Response:
        """Take a signal about a person, an agent or a session, once; the same again gets the same answer."""
        pep = desk.admit(request.scope, "signals")
        _, value = await desk.read(request.scope, request.receive)
        taken = await _received(office, _body(value), pep.id, desk)
        await desk.world.people.poll()  # this replica need not wait for the next poll
        return Response(
            msgspec.json.encode(taken), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    return routes


def _body(value: object) -> SignalBody:
    try:
        return msgspec.convert(value, SignalBody)
    except msgspec.ValidationError:
        raise Rejected(400, "signal.malformed", "The body is not a signal.") from None


async def _received(office: Office, body: SignalBody, source: str, desk: Desk) -> Taken:
    try:
        return await receive(office, body, source, desk.world.pack.weights)
    except Unrecorded:
        raise
    except Contradicted:
        raise Rejected(409, "signal.conflict", "Another signal was taken under this id.") from None
    except NotConcerned:
        raise Rejected(404, "signal.unknown_entity", "Nobody of that kind and id is registered.") from None
    except StoreUnavailable:
        raise Rejected(503, "store.unavailable", "The store cannot be reached now.") from None
    except Fault as fault:
        logger.warning("a signal of %s was refused: %s", source, fault)
        raise Rejected(400, "signal.refused", "Its code, weight or times cannot be; the PDP's log says what.") from None
