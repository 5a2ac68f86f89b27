"""The identity store over HTTP (contracts, section 1): who is registered, feeds, kill switches. Scope `identity`."""

import logging
import re
from typing import Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from ..audit.office import Office
from ..errors import Fault, Rejected
from ..identity.feed import Feed, must_be_a_feed
from ..identity.importer import How, MovedOn, import_feed
from ..identity.revoke import NotRegistered, Reinstated, Revoked, Target, reinstate, revoke
from ..identity.rights import Principal
from ..store.changes import latest
from ..store.feeds import Difference
from ..store.identity import find_principal
from ..store.revocations import Kind
from ..store.sql import reading
from .decisions import Desk
from .http import Scope, header
from .openapi import answers, reads
from .orders import carried_out

FEED_FACTOR = 4  # a feed may be this many times larger than one query; it is read on the loop that decides, so larger
# ones come by the command line
logger = logging.getLogger(__name__)
T = TypeVar("T")


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """Why something is stopped or reinstated. `issuer`: of a client or session. `everything`: of an agent."""

    reason: str
    issuer: str = ""
    everything: bool = False


class Imported(Struct, frozen=True):
    """What an import changed, or would have; `revision` is the identity revision it led to."""

    revision: int
    differences: list[Difference]


PROBLEMS: dict[type[Fault], Rejected] = {
    MovedOn: Rejected(412, "identity.moved_on", "The store has changed since that revision."),
    NotRegistered: Rejected(404, "identity.unknown", "There is nothing of that kind and id."),
    Fault: Rejected(409, "identity.refused", "It contradicts itself or the store; the PDP's log says where."),
}
KINDS: list[type] = [Order, Revoked, Reinstated, Principal, Feed, Imported]
"""What the OpenAPI description names."""


def router(desk: Desk) -> APIRouter:
    """Return the routes under `/v1/identity`; each needs a key with the scope `identity`."""
    routes = APIRouter(prefix="/v1/identity", tags=["identity"])
    office = Office(desk.store, desk.world.log, desk.world.now)
    _killing(routes, desk, office)

    @routes.post("/feeds", openapi_extra=reads(Feed), responses=answers("Imported", 409, 412, 413, 415, 503))
    async def feeds(request: Request, dry_run: bool = False, prune: str | None = None) -> Response:
        """Bring in a feed: all of it or nothing. `If-Match` with an identity revision: only if it is still that."""
        desk.admit(request.scope, "identity")
        _, value = await desk.read(request.scope, request.receive, FEED_FACTOR)
        how = How(dry_run=dry_run, prune=prune, expected=_expected(request.scope))
        feed = _converted(value, Feed)
        differences = await carried_out(_brought(office, feed, how), PROBLEMS)
        revision = await carried_out(_revision(desk), PROBLEMS)
        return _sent(Imported(revision, differences), revision)

    @routes.get(
        "/{kind}/{id:path}",
        openapi_extra={"security": [{"key": []}]},
        responses=answers("Principal", 404, 503),
    )
    async def show(kind: Literal["person", "agent"], id: str, request: Request) -> Response:  # noqa: A002
        """Return a person or an agent with every right and its way; the ETag is the identity revision."""
        desk.admit(request.scope, "identity")
        revision = await carried_out(_revision(desk), PROBLEMS)  # read first: what is shown is never older than it
        found = await carried_out(find_principal(desk.store, id), PROBLEMS)
        if found is None or found.registered.kind != kind:
            raise Rejected(404, "identity.unknown", f"There is no {kind} of that id.")
        return _sent(found, revision)

    return routes


def _killing(routes: APIRouter, desk: Desk, office: Office) -> None:
    problems = (404, 409, 413, 415, 503)

    @routes.post("/{kind}/{id:path}/revoke", openapi_extra=reads(Order), responses=answers("Revoked", *problems))
    async def stop(kind: Kind, id: str, request: Request) -> Response:  # noqa: A002  # the name in contracts
        """Stop a person, agent, client, session or delegation on every replica within two seconds."""
        by = desk.admit(request.scope, "identity").id
        order = _converted((await desk.read(request.scope, request.receive))[1], Order)
        target = Target(kind, id, order.issuer)
        done = await carried_out(revoke(office, target, by, order.reason, everything=order.everything), PROBLEMS)
        await carried_out(desk.world.people.poll(), PROBLEMS)  # this replica need not wait for the next poll
        return _sent(done)

    @routes.post("/{kind}/{id:path}/reinstate", openapi_extra=reads(Order), responses=answers("Reinstated", *problems))
    async def again(kind: Kind, id: str, request: Request) -> Response:  # noqa: A002
        """Let what was stopped act again, as far as its feed says it may."""
        by = desk.admit(request.scope, "identity").id
        order = _converted((await desk.read(request.scope, request.receive))[1], Order)
        work = reinstate(office, Target(kind, id, order.issuer), by, order.reason)
        return _sent(await carried_out(work, PROBLEMS))


async def _brought(office: Office, feed: Feed, how: How) -> list[Difference]:
    must_be_a_feed(feed)
    return await import_feed(office, feed, how)


async def _revision(desk: Desk) -> int:
    async with reading(desk.store) as connection:
        return await latest(connection, "identity")


def _expected(scope: Scope) -> int | None:
    given = header(scope, b"if-match")
    if given is None:
        return None
    if not re.fullmatch(r'"?[0-9]{1,18}"?', given):
        raise Rejected(400, "http.if_match", "If-Match takes one identity revision, as an ETag gave it.")
    return int(given.strip('"'))


def _converted(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        logger.warning("a body is not a %s: %a", kind.__name__, str(error))
        raise Rejected(400, "query.malformed", "The body does not have the form; the PDP's log says where.") from None


def _sent(value: Struct, revision: int | None = None) -> Response:
    etag = {} if revision is None else {"ETag": f'"{revision}"'}
    headers = {"Cache-Control": "no-store", **etag}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)
