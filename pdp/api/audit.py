"""What was decided and why, read from the projection that every worker fills (contracts, section 1)."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from ..errors import Rejected
from ..store.decisions import find_decision
from ..store.sql import StoreUnavailable, reading
from .decisions import Desk
from .openapi import answers

UNKNOWN = Rejected(404, "decision.unknown", "There is no decision of that id, or it was taken just now.")


class Decided(Struct, frozen=True, omit_defaults=True):
    """The log entry of a decision, byte for byte, and that of its outcome if one came."""

    entry: dict[str, Any]
    outcome: dict[str, Any] | None = None


def router(desk: Desk) -> APIRouter:
    """Return the route `GET /v1/decisions/{id}`; it needs a key with the scope `audit` that lists the server."""
    routes = APIRouter(prefix="/v1", tags=["audit"])

    @routes.get(
        "/decisions/{id}",
        openapi_extra={"security": [{"key": []}]},
        responses=answers("Decided", 404, 503),
    )
    async def decided(id: str, request: Request) -> Response:  # noqa: A002  # the name in contracts, section 1
        """Return what was decided, on which facts, and what became of it. 404 until the projection has it."""
        pep = desk.admit(request.scope, "audit")
        try:
            async with reading(desk.store) as connection:
                found = await find_decision(connection, id)
        except StoreUnavailable:
            raise Rejected(503, "store.unavailable", "Decisions cannot be looked up now.") from None
        if found is None or not pep.serves(msgspec.json.decode(found.entry)["body"]["tool"]["server"]):
            raise UNKNOWN.fresh()  # the same for both, or ids could be tried for which of them exist
        outcome = b"" if found.outcome is None else b',"outcome":' + found.outcome.encode()
        body = b'{"entry":' + found.entry.encode() + outcome + b"}"
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})

    return routes
