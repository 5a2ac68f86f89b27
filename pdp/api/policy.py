"""Policy over HTTP (contracts, section 1): what is in force, how to renew it, the bundle for a sidecar. Scope `policy`.

The bundle is served as OPA's own bundle service protocol has it (OPA docs, "Bundles", HTTP long polling): ETag is the
revision, and `Prefer: wait=N` holds the request until there is another one.
"""

import asyncio
import re
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from ..errors import Fault, Rejected, Unrecorded
from ..policy.change import Change
from ..policy.law import Rule
from ..policy.live import Active
from ..policy.notice import Cause, Complaint, EngineName, Rejection, problems_of
from ..policy.pack import Pack
from ..policy.problem import PackRefused
from ..policy.renewal import Renewal
from ..policy.sign import Signed
from .admission import Places
from .decisions import Desk
from .http import Scope, header, problem
from .openapi import answers

BUNDLES = "application/vnd.openpolicyagent.bundles"  # tells OPA that this server holds requests until there is news
LONGEST_WAIT_S = 60  # of a request for the next bundle; OPA asks again
WAITS, WAITS_OF_ONE = 256, 64  # at once, of all keys and of one; a sidecar has one, and whoever has no place asks again
WAIT = re.compile(r"(?:^|[;,\s])wait=(\d{1,6})(?:$|[;,\s])")


class RuleShown(Struct, frozen=True):
    """A rule of the policy in force, without its values."""

    code: str
    title: str
    stage: str
    owner: str
    file: str


class PolicyShown(Struct, frozen=True, omit_defaults=True):
    """The policy in force. `offered`: what a sidecar has yet to take up; `rejection`: the last one, while it stands.

    `signed`: by whom and when, if it came as a signed bundle.
    """

    revision: str
    engine: EngineName
    rules: list[RuleShown]
    since: str | None = None
    signed: Signed | None = None
    offered: str | None = None
    rejection: Rejection | None = None


class Renewed(Struct, frozen=True):
    """What asking for a renewal led to: the newest revision, and what is different in it."""

    revision: str
    change: Change


KINDS: list[type] = [PolicyShown, Renewed, Rejection]
"""What the OpenAPI description names."""
BUNDLE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bundle.", "content": {BUNDLES: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "What the client has is the newest."},
}
REFUSED = Rejected(422, "policy.refused", "The policy is refused; the one in force stays.")
FAILED = Rejected(503, "policy.failed", "The policy cannot be renewed now; the one in force stays.")


def router(desk: Desk, renewal: Renewal) -> APIRouter:
    """Return the routes under `/v1/policy`; each needs a key with the scope `policy`."""
    routes, waits = APIRouter(prefix="/v1/policy", tags=["policy"]), Places(WAITS, WAITS_OF_ONE)
    keyed: dict[str, Any] = {"security": [{"key": []}]}

    @routes.get("", openapi_extra=keyed, responses=answers("PolicyShown", 503))
    async def show(request: Request) -> Response:
        """Return the policy in force, its rules and their words, and why the last change was refused, if it was."""
        desk.admit(request.scope, "policy")
        return _json(shown(renewal))

    @routes.post("/activate", openapi_extra=keyed, responses=answers("Renewed", 422, 503))
    async def activate(request: Request) -> Response:
        """Read the folders again now. 422 with every problem when they are refused; the policy in force then stays."""
        pep = desk.admit(request.scope, "policy")
        try:
            change = await renewal.renew(Cause("api", pep.id))
        except Unrecorded:
            raise
        except Fault as fault:
            return _refused(fault)
        return _json(Renewed(renewal.policy.newest.pack.revision, change))

    @routes.get("/bundle", openapi_extra=keyed, responses=answers("Renewed", 503) | BUNDLE)
    async def bundle(request: Request) -> Response:
        """Return the checked bundle; with `If-None-Match` and `Prefer: wait=N`, as soon as there is another, or 304."""
        pep = desk.admit(request.scope, "policy")
        known = revisions_in(header(request.scope, b"if-none-match"))
        with waits.patience(pep.id, wait_of(request.scope)) as within_s:
            is_news = await _next(request, renewal, known, within_s) is not None
        newest = renewal.newest
        if not is_news:
            return Response(status_code=304, headers=_tagged(newest))
        content = await asyncio.to_thread(newest.served.read_bytes)
        return Response(content, headers=_tagged(newest))

    return routes


def shown(renewal: Renewal) -> PolicyShown:
    """Put together what is shown of the policy."""
    policy, notices = renewal.policy, renewal.notices
    active, newest = policy.active.pack, renewal.newest
    is_newest = newest.revision == active.revision
    return PolicyShown(
        revision=active.revision,
        engine=notices.engine,
        rules=[_rule(active.rules[code]) for code in sorted(active.rules)],
        since=notices.since,
        signed=newest.signed if is_newest else active.signed,
        offered=None if is_newest else newest.revision,
        rejection=notices.rejection,
    )


def revisions_in(tags: str | None) -> set[str]:
    """Return the revisions of an `If-None-Match` header, which are none for a client that has no bundle."""
    return {tag.strip().removeprefix("W/").strip('"') for tag in (tags or "").split(",")} - {""}


def wait_of(scope: Scope) -> float:
    """Return how many seconds a client would wait for a bundle it does not have (RFC 7240, section 4.3)."""
    asked = WAIT.search(header(scope, b"prefer") or "")
    return min(float(asked[1]), LONGEST_WAIT_S) if asked else 0.0


async def _next(request: Request, renewal: Renewal, known: set[str], within_s: float) -> Active | None:
    """Return the newest policy unless it is known; wait for it, but not longer than the client does."""
    waiting = asyncio.create_task(renewal.policy.newest_but(known, within_s))
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refused(fault: Fault) -> Response:
    error = REFUSED if isinstance(fault, PackRefused) else FAILED
    problems = [Complaint(*found) for found in problems_of(fault)]
    return Response(
        msgspec.json.encode({**problem(error), "problems": problems}),
        error.status,
        {"Cache-Control": "no-store"},
        media_type="application/problem+json",
    )


def _rule(rule: Rule) -> RuleShown:
    return RuleShown(code=rule.code, title=rule.title, stage=rule.stage, owner=rule.owner, file=rule.file)


def _tagged(pack: Pack) -> dict[str, str]:
    return {"ETag": f'"{pack.revision}"', "Content-Type": BUNDLES, "Cache-Control": "no-store"}


def _json(value: Struct) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"Cache-Control": "no-store"})
