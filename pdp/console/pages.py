"""The pages: what waits, what was decided, and one request on one screen with the form that answers it."""

from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..approvals import requests
from ..approvals.desk import MAX_REASON, Answer, Found, Outlook
from ..approvals.withdrawal import NOT_CONCERNED, Withdrawal, those_concerned, withdrawal_open
from ..errors import Refused, Rejected
from ..times import rfc3339
from .login import SEE_OTHER
from .show import denials, listed, shown
from .site import ROOT
from .visit import Console, Visitor

MAX_HISTORY = 100  # more than anybody reads; the log has all of it
NO_VOTE = "Your answer was not counted."
TAKE_BACK = {"cancel": requests.cancel, "revoke": requests.revoke}
VOTES: dict[str, Literal["approve", "deny"]] = {"approve": "approve", "deny": "deny"}


def page_routes(console: Console) -> list[Route]:
    """Return the routes of the pages behind the sign-in."""
    pages = _Pages(console)
    return [
        Route(ROOT, pages.inbox, methods=["GET"]),
        Route(f"{ROOT}/history", pages.history, methods=["GET"]),
        Route(f"{ROOT}/approvals/{{id}}", pages.request, methods=["GET"]),
        Route(f"{ROOT}/approvals/{{id}}/votes", pages.vote, methods=["POST"]),
        Route(f"{ROOT}/approvals/{{id}}/cancel", pages.cancel, methods=["POST"]),
        Route(f"{ROOT}/approvals/{{id}}/revoke", pages.revoke, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._voting = console.voting

    async def inbox(self, request: Request) -> Response:
        """Show what waits for the person who looks."""
        visitor = await self._console.visitor(request)
        return await self._list("inbox.html", visitor, await self._voting.opened(visitor.voter))

    async def history(self, request: Request) -> Response:
        """Show what was decided, ran out or was taken back, of what this person voted on or asked for."""
        visitor = await self._console.visitor(request)
        return await self._list("history.html", visitor, await self._voting.decided(visitor.voter, MAX_HISTORY))

    async def request(self, request: Request) -> Response:
        """Show one request."""
        visitor = await self._console.visitor(request)
        return await self._one(visitor, request.path_params["id"])

    async def vote(self, request: Request) -> Response:
        """Count a vote; one that does not count leads back to the request as it is now, and says why."""
        visitor, fields = await self._console.sender(request)
        identifier, cast = request.path_params["id"], VOTES.get(fields.get("vote", ""))
        if cast is None:
            raise Rejected(400, "console.malformed", "The form says neither yes nor no.")
        answer = Answer(cast, fields.get("presented_digest", ""), fields.get("reason", ""))
        try:
            await self._voting.vote(identifier, visitor.voter, answer)
        except Rejected as rejected:
            return await self._one(visitor, identifier, rejected, answer.reason)
        return RedirectResponse(f"{ROOT}/approvals/{identifier}", SEE_OTHER)

    async def cancel(self, request: Request) -> Response:
        """Withdraw a question that is still open."""
        return await self._take_back(request, "cancel")

    async def revoke(self, request: Request) -> Response:
        """Take an approval back before it is used."""
        return await self._take_back(request, "revoke")

    async def _take_back(self, request: Request, step: Withdrawal) -> Response:
        visitor, fields = await self._console.sender(request)
        identifier, reason = request.path_params["id"], fields.get("reason", "")
        found = await self._voting.found_for(identifier, visitor.voter)
        try:
            _check_withdrawal(step, found, visitor, reason)
            work = TAKE_BACK[step](self._voting.office, identifier, visitor.voter.id, reason)
            await self._voting.carried_out(work, identifier)
        except Rejected as rejected:
            return await self._one(visitor, identifier, rejected, failed="It was not taken back.")
        return RedirectResponse(f"{ROOT}/approvals/{identifier}", SEE_OTHER)

    async def _list(self, template: str, visitor: Visitor, rows: list[dict[str, Any]]) -> Response:
        names = await self._names(rows)
        shown_rows = [listed(row, names, self._now()) for row in rows]
        return self._console.pages.page(template, visitor=visitor, requests=shown_rows, now=self._now())

    async def _one(
        self,
        visitor: Visitor,
        identifier: str,
        problem: Rejected | None = None,
        reason: str = "",
        failed: str = NO_VOTE,
    ) -> Response:
        found = await self._voting.found_for(identifier, visitor.voter)
        before = await self._voting.approved_before(found.request, visitor.voter)
        page = shown(found, before, await self._names([found.request]))
        return self._console.pages.page(
            "request.html",
            problem.status if problem else 200,
            visitor=visitor,
            page=page,
            denied=denials(found.request, await self._voting.denied_before(found.request, visitor.voter)),
            outlook=await self._outlook(found, visitor),
            mine=next((vote for vote in found.votes if vote["person"] == visitor.voter.id), None),
            voters={vote["person"]: await self._console.name(vote["person"]) for vote in found.votes},
            standing=self._standing(found.request),
            take_back=self._withdrawal(found, visitor),
            problem=problem,
            failed=failed,
            reason=reason,
            now=self._now(),
        )

    async def _outlook(self, found: Found, visitor: Visitor) -> Outlook:
        if found.request["state"] != "open" or found.request["expires_at"] <= self._now():
            closed = Rejected(409, "approvals.closed", "Nothing can be decided any more.")
            return Outlook([], closed)
        return await self._voting.outlook(found, visitor.voter)

    def _withdrawal(self, found: Found, visitor: Visitor) -> Withdrawal | None:
        """Return what this person may take back now."""
        step = withdrawal_open(found.request, found.approval, self._now())
        theirs = step is not None and visitor.voter.id in those_concerned(step, found.request, found.votes)
        return step if theirs else None

    def _standing(self, request: dict[str, Any]) -> str:
        """Say what is wrong with the tool by now; nothing when its definition is approved."""
        try:
            return self._voting.wrong_with(request)
        except Refused as stale:
            return stale.meaning.title

    async def _names(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        ids = {row[kind] for row in rows for kind in ("person", "agent") if row[kind]}
        ids |= {owner for row in rows for owner in row["shown"]["caller"].get("agent", {}).get("owners", [])}
        return {identifier: await self._console.name(identifier) for identifier in ids}

    def _now(self) -> str:
        return rfc3339(self._voting.world.now())


def _check_withdrawal(step: Withdrawal, found: Found, visitor: Visitor, reason: str) -> None:
    """Raises `Rejected` 403 for whom it does not concern, 400 for a reason that is too long."""
    if visitor.voter.id not in those_concerned(step, found.request, found.votes):
        raise NOT_CONCERNED.fresh()
    if len(reason) > MAX_REASON:
        raise Rejected(400, "approvals.reason", f"A reason has at most {MAX_REASON} characters.")
