"""The native decision API (contracts, section 1). `POST /v1/decisions` is plain ASGI: routing would cost 100 us."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from ..answer import Answer, Reason
from ..decide import Verdict
from ..errors import REFUSALS, Rejected, Unrecorded
from ..flow import Case, World, answer, conclude, judge_together
from ..identity.peps import Pep, Right
from ..listing import Listing, Visible, listing_from, visible
from ..outcome import Outcome, Told, read_outcome
from ..query import Query, check_size, query_from, refuse_tags, strict_json
from ..store.sql import Store
from .access import Rate, authenticate
from .admission import RETRY_AFTER_S, Learning, Overloaded, Places
from .http import PROBLEM_JSON, Receive, Scope, Send, header, problem, read_body, request_id, send_json, send_problem
from .idempotency import Replays
from .openapi import answers, one_of, reads
from .recent import Asked, Recent

logger = logging.getLogger(__name__)

MAX_BATCH = 100  # decisions a batch (contracts, section 1)
AT_ONCE = 16  # calls of a batch that are judged side by side, each in a place of its own: more would only wait
ARRIVING, ARRIVING_OF_ONE = 128, 32  # bodies in several parts, of all and of one caller: 256 MB at most, and 64
BATCH_BODY_FACTOR = 8  # a batch may be this many times larger than one query
AROUND_ITEM = 2  # levels around an item of a batch: the object and its list
UNRECORDED = Rejected(503, "audit.unavailable", REFUSALS["audit.unavailable"].title, headers={"Retry-After": "1"})


class Batch(Struct, frozen=True):
    """Up to 100 queries, decided on one snapshot."""

    decisions: list[Query]


KINDS: list[type] = [Query, Answer, Batch, Listing, Visible, Outcome, Told]
"""What the OpenAPI description names."""
ANSWERS = {
    "type": "object",
    "description": "An answer or a problem for each query, in the order asked.",
    "required": ["decisions"],
    "properties": {"decisions": {"type": "array", "items": one_of("Answer", "Unrecorded", "Problem")}},
}
UNRECORDED_SCHEMA = {
    "description": "A deny: not on record, or too much under way.",
    "allOf": [{"$ref": "#/components/schemas/Problem"}],
    "required": ["decision", "reasons"],
    "properties": {
        "decision": {"const": "deny"},
        "reasons": {"type": "array", "items": {"$ref": "#/components/schemas/Reason"}},
    },
}
SCHEMAS = {"Answers": ANSWERS, "Unrecorded": UNRECORDED_SCHEMA}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What the decision routes need: the world, who may ask, and how often."""

    world: World
    store: Store
    peps: Callable[[], Mapping[str, Pep]]
    rate: Rate
    places: Learning
    max_body: int
    max_depth: int
    count: Callable[[Answer], None]
    rejected: Callable[[str], None]
    recent: Recent
    replays: Replays = field(default_factory=Replays)
    arriving: Places = field(default_factory=partial(Places, ARRIVING, ARRIVING_OF_ONE))

    def admit(self, scope: Scope, right: Right = "decide") -> Pep:
        """Return the adapter that asks. Raises `Rejected` 401, 403 or 429."""
        pep = authenticate(header(scope, b"authorization"), self.peps(), self.world.now())
        pep.must(right)
        self.rate.take(pep.id)
        return pep

    async def read(self, scope: Scope, receive: Receive, factor: int = 1, around: int = 0) -> tuple[bytes, Any]:
        """Return a body and the JSON in it, which may be `around` levels deeper. Raises `Rejected` 400, 413 or 415."""
        body = await self.body(scope, receive, factor)
        return body, self.parse(body, factor, around)

    async def body(self, scope: Scope, receive: Receive, factor: int = 1) -> bytes:
        """Return a body as it came. Raises `Rejected` 413 or 415."""
        return await read_body(scope, receive, self.max_body * factor, self.arriving)

    def parse(self, body: bytes, factor: int = 1, around: int = 0) -> Any:
        """Return the JSON in a body, which may be `around` levels deeper. Raises `Rejected` 400.

        It costs up to a millisecond, so what asks for a decision takes a place first.
        """
        value = strict_json(body, self.max_body * factor, self.max_depth + around)
        refuse_tags(body, value)
        return value

    def told(self, given: Answer, pep: Pep) -> bytes:
        """Return the encoded answer, once it is counted and its outcome awaited."""
        self.recent.remember(given.id, Asked(pep.id, given.decision))
        self.count(given)
        return msgspec.json.encode(given)


async def decide_route(scope: Scope, receive: Receive, send: Send, desk: Desk) -> None:
    """Answer `POST /v1/decisions`: 200 with an `Answer` whenever a decision was taken and recorded, deny included.

    Problems: 400 malformed, 401 no valid key, 403 scope or server, 409 idempotency, 413 too large, 415 not JSON,
    429 too often, 503 not recorded, or too much under way (both with `decision: deny`).
    """
    rid = request_id(scope, desk.world.now)
    echo = [(b"x-request-id", rid.encode())]
    try:
        pep, arrived = desk.admit(scope), time.perf_counter()
        body, key = await desk.body(scope, receive), header(scope, b"idempotency-key")
        with desk.places.taken(pep.id):
            query = query_from(desk.parse(body))
            pep.must_serve(query.tool.server)
            asked = partial(one, query, pep, rid, desk, arrived)
            sent = await desk.replays.once(pep.id, key, body, asked, epoch(desk.world))
    except Overloaded as error:
        desk.rejected(error.code)
        again = [(b"retry-after", RETRY_AFTER_S.encode()), *echo]
        await send_json(send, error.status, denying(error), again, PROBLEM_JSON)
    except Rejected as error:
        desk.rejected(error.code)
        await send_problem(send, error, echo)
    except Unrecorded as error:
        logger.error("decision not recorded, so denied: %s", error)  # noqa: TRY400  # the cause is in the message
        desk.rejected(UNRECORDED.code)
        await send_json(send, 503, unrecorded(), [(b"retry-after", b"1"), *echo], PROBLEM_JSON)
    else:
        await send_json(send, 200, sent, echo)


def epoch(world: World) -> object:
    """Return what an answer must share with an earlier one to repeat it: nothing changed, and we would know."""
    policy = world.policy.active.pack.revision
    return world.people.revision, world.tools.revision, policy, world.people.stale() is None


async def one(query: Query, pep: Pep, rid: str, desk: Desk, arrived: float) -> bytes:
    """Decide one query and return the encoded answer."""
    return desk.told(await answer(query, pep.id, rid, desk.world, pep.asker, arrived=arrived), pep)


def unrecorded() -> bytes:
    """Return the body of a 503: a deny, because nobody is told a decision that is not on record."""
    return denying(UNRECORDED)


def denying(error: Rejected) -> bytes:
    """Return the body of a problem that is a deny too, for adapters that look no further; its code is a refusal's."""
    meaning = REFUSALS[error.code]
    reason = Reason(code=error.code, title=meaning.title, remedy=meaning.remedy)
    return msgspec.json.encode({**problem(error), "decision": "deny", "reasons": [reason]})


def router(desk: Desk) -> APIRouter:
    """Return the decision routes that go through the router. `POST /v1/decisions` itself does not: `decide_route`."""
    routes = APIRouter(prefix="/v1", tags=["decisions"])

    @routes.post("/decisions", openapi_extra=reads(Query), responses=answers("Answer", 409, 413, 415, 503))
    async def decide(_request: Request) -> Response:
        """May this caller call this tool with these arguments? 200 whenever a decision was taken, deny included."""
        raise AssertionError("decide_route stands in front of the router")

    @routes.post("/decisions/batch", openapi_extra=reads(Batch), responses=answers("Answers", 413, 415, 503))
    async def decide_many(request: Request) -> Response:
        """Decide up to 100 queries; each item is an answer or a problem, in the order asked."""
        pep = desk.admit(request.scope)
        body = await desk.body(request.scope, request.receive, BATCH_BODY_FACTOR)
        with desk.places.taken(pep.id):
            value = desk.parse(body, BATCH_BODY_FACTOR, AROUND_ITEM)
            return _json(await batch(value, pep, request.scope["request_id"], desk))

    @routes.post("/tools/visible", openapi_extra=reads(Listing), responses=answers("Visible", 413, 415, 503))
    async def list_visible(request: Request) -> Response:
        """Which of these tools may the caller call at all? One record for the whole list."""
        pep = desk.admit(request.scope)
        body = await desk.body(request.scope, request.receive, BATCH_BODY_FACTOR)
        with desk.places.taken(pep.id):
            listing = listing_from(desk.parse(body, BATCH_BODY_FACTOR))
            pep.must_serve(listing.server)
            shown = await visible(listing, pep.id, request.scope["request_id"], desk.world, pep.asker)
        return _json(msgspec.json.encode(shown), "private, no-store")

    @routes.post(
        "/decisions/{id}/outcome",
        openapi_extra=reads(Outcome),
        responses=answers("Told", 404, 409, 413, 415, 503),
    )
    async def tell_outcome(id: str, request: Request) -> Response:  # noqa: A002  # the name in contracts, section 1
        """Take what became of a call, once, from the adapter that asked."""
        pep = desk.admit(request.scope)
        _, value = await desk.read(request.scope, request.receive)
        told = await desk.recent.take(id, pep.id, read_outcome(value), desk.world)
        return _json(msgspec.json.encode(told))

    return routes


async def batch(value: Any, pep: Pep, rid: str, desk: Desk) -> bytes:
    """Decide the queries of a batch, which holds a place, on one snapshot, as many at once as find further places.

    Raises `Rejected` 400 or 429 for the batch as a whole.
    """
    if not isinstance(value, dict) or value.keys() != {"decisions"} or not isinstance(value["decisions"], list):
        raise Rejected(400, "query.malformed", "A batch is an object with the one member `decisions`, a list.")
    items = value["decisions"]
    if not 0 < len(items) <= MAX_BATCH:
        raise Rejected(400, "query.batch_size", f"A batch holds 1 to {MAX_BATCH} decisions.")
    desk.rate.take(pep.id, len(items) - 1)  # admission took one
    read = [_read(item, pep, desk) for item in items]
    queries = [item for item in read if isinstance(item, Query)]
    with desk.places.more(pep.id, min(len(queries), AT_ONCE) - 1) as more:
        judged = await judge_together(queries, pep.id, rid, desk.world, pep.asker, at_once=1 + more)
    told = iter(await asyncio.gather(*(_concluded(case, verdict, pep, desk) for case, verdict in judged)))
    given = [next(told) if isinstance(item, Query) else msgspec.json.encode(problem(item)) for item in read]
    return b'{"decisions":[' + b",".join(given) + b"]}"


def _read(item: Any, pep: Pep, desk: Desk) -> Query | Rejected:
    try:
        check_size(item, desk.max_body, desk.max_depth)
        query = query_from(item)
        pep.must_serve(query.tool.server)
    except Rejected as error:
        return error
    return query


async def _concluded(case: Case, verdict: Verdict, pep: Pep, desk: Desk) -> bytes:
    try:
        return desk.told(await conclude(case, verdict, desk.world), pep)
    except Unrecorded as error:
        logger.error("decision not recorded, so denied: %s", error)  # noqa: TRY400  # the cause is in the message
        desk.rejected(UNRECORDED.code)
        return unrecorded()


def _json(body: bytes, cache: str = "no-store") -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": cache})
