"""Sign in and out. What a page is asked for without a session leads here, and from here back to it."""

import re
import secrets
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ..approvals.voters import person_of
from ..errors import Rejected
from .cookies import Session
from .oidc import STRANGE
from .site import ROOT
from .visit import Console

OURS = re.compile(rf"{ROOT}(/history|/approvals/apr_[0-9A-Za-z]{{1,64}})?", re.ASCII)
FORMS = re.compile(r"/(votes|cancel|revoke)\Z")  # where a page sends what is answered
SEE_OTHER = 303


def login_routes(console: Console) -> list[Route]:
    """Return the routes of signing in and out."""
    now = console.voting.world.now

    async def login(request: Request) -> Response:
        """Offer to sign in, at our own address: cookies set under another name of this host would not come back."""
        start = f"{console.site.url}/login/start?{urlencode({'to': back_to(request.query_params.get('to', ''))})}"
        return console.pages.page("login.html", start=start, issuer=console.site.client.issuer.issuer)

    async def start(request: Request) -> Response:
        """Lead to the issuer, and remember in the browser that we did."""
        begun, there = await console.provider.begin(back_to(request.query_params.get("to", "")))
        response = RedirectResponse(there, SEE_OTHER)
        console.sign_in.give(response, begun, now)
        return response

    async def done(request: Request) -> Response:
        """Take the issuer's answer; what it gave must open the desk, or there is no session."""
        begun = console.sign_in.read(request, now)
        if begun is None:
            raise STRANGE.fresh()
        token = await console.provider.finish(begun, dict(request.query_params))
        try:
            await person_of(f"Bearer {token}", console.voting.world)
        except Rejected as rejected:
            raise Rejected(403, rejected.code, f"You signed in, but may not enter. {rejected.title}") from None
        response = RedirectResponse(back_to(begun.to), SEE_OTHER)
        console.session.give(response, Session(token, secrets.token_urlsafe(32)), now)
        console.sign_in.take(response)
        return response

    async def logout(request: Request) -> Response:
        """End the session of this browser."""
        await console.sender(request)
        response = RedirectResponse(f"{ROOT}/login", SEE_OTHER)
        console.session.take(response)
        return response

    return [
        Route(f"{ROOT}/login", login, methods=["GET"]),
        Route(f"{ROOT}/login/start", start, methods=["GET"]),
        Route(f"{ROOT}/login/done", done, methods=["GET"]),
        Route(f"{ROOT}/logout", logout, methods=["POST"]),
    ]


def back_to(asked: str) -> str:
    """Return the page to lead to: one of ours, whatever was asked for."""
    return asked if OURS.fullmatch(asked) else ROOT


def signed_out(request: Request, console: Console) -> Response:
    """Lead whoever has no session to the sign-in, and back here after it."""
    to = back_to(FORMS.sub("", request.url.path))
    response = RedirectResponse(f"{ROOT}/login?{urlencode({'to': to})}", SEE_OTHER)
    console.session.take(response)
    return response
