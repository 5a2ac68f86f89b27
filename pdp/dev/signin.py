"""The sample issuer's sign-in: a page that lists the sample people, and an authorization code with PKCE for one.

For development on this machine only: it asks nobody for a password. That is why it leads back to this machine and
nowhere else, so that no page elsewhere can get a token of it.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, StrictUndefined
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ..console import render
from ..document import read_yaml
from ..identity.issuers import is_loopback
from ..times import Clock
from .issuer import DevIssuer
from .seed import DIRECT_CLIENT, PEOPLE

HERE = Path(__file__).parent
STYLE = Path(render.__file__).parent / "static" / "console.css"
LIVES = timedelta(seconds=60)  # a code is redeemed at once (RFC 6749, section 4.1.2)
MAX_CODES = 1000
SHORT = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"


class Person(Struct, frozen=True):
    """A sample person, as the page shows them."""

    name: str
    subject: str
    about: str


class Code(Struct, frozen=True):
    """What a code stands for, until it is redeemed once."""

    subject: str
    redirect_uri: str
    challenge: str
    nonce: str
    resource: str
    good_until: datetime


def signin_routes(issuer: DevIssuer, now: Clock) -> list[Route]:
    """Return `/authorize` and `/token`, with their stylesheet."""
    desk = _Codes(issuer, now)
    return [
        Route("/authorize", desk.ask, methods=["GET"]),
        Route("/authorize", desk.answer, methods=["POST"]),
        Route("/token", desk.redeem, methods=["POST"]),
        Route("/console.css", lambda _request: FileResponse(STYLE), methods=["GET"]),
    ]


def sample_people() -> list[Person]:
    """Return the people of the sample feed who can sign in."""
    return [
        Person(one["display"], one["aliases"][0]["subject"], ", ".join([*one.get("roles", []), *one.get("groups", [])]))
        for one in read_yaml(PEOPLE.read_text())["people"]
    ]


class _Codes:
    def __init__(self, issuer: DevIssuer, now: Clock) -> None:
        self._issuer = issuer
        self._now = now
        self._codes: dict[str, Code] = {}
        self._page = Environment(autoescape=True, undefined=StrictUndefined).from_string(
            (HERE / "signin.html").read_text()
        )

    async def ask(self, request: Request) -> Response:
        """Show who one can be."""
        if problem := _problem(dict(request.query_params)):
            return JSONResponse({"error": "invalid_request", "error_description": problem}, 400)
        page = self._page.render(people=sample_people(), query=request.url.query)
        return HTMLResponse(page, headers={"Content-Security-Policy": SHORT, "Cache-Control": "no-store"})

    async def answer(self, request: Request) -> Response:
        """Lead back with a code for who was chosen."""
        asked = dict(request.query_params)
        async with request.form() as form:
            subject = str(form.get("subject", ""))
        if (problem := _problem(asked)) or subject not in {person.subject for person in sample_people()}:
            return JSONResponse({"error": "invalid_request", "error_description": problem or "nobody known"}, 400)
        while len(self._codes) >= MAX_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(24)
        rest = asked["code_challenge"], asked.get("nonce", ""), asked.get("resource", "")
        self._codes[code] = Code(subject, asked["redirect_uri"], *rest, self._now() + LIVES)
        answer = urlencode({"code": code, "state": asked.get("state", ""), "iss": self._issuer.url})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 303)

    async def redeem(self, request: Request) -> Response:
        """Give the tokens for a code, once (RFC 6749, section 4.1.3; RFC 7636, section 4.6)."""
        async with request.form() as form:
            fields = {name: str(value) for name, value in form.items()}
        code = self._codes.pop(fields.get("code", ""), None)
        proof = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if code is None or code.good_until < self._now() or not hmac.compare_digest(challenge, code.challenge):
            return JSONResponse({"error": "invalid_grant"}, 400)
        if (fields.get("redirect_uri"), fields.get("client_id")) != (code.redirect_uri, DIRECT_CLIENT):
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse(self._tokens(code), headers={"Cache-Control": "no-store"})

    def _tokens(self, code: Code) -> dict[str, str | int]:
        now, client = self._now(), DIRECT_CLIENT
        audience = code.resource or client
        return {
            "access_token": self._issuer.mint(code.subject, audience=audience, client=client, now=now),
            "id_token": self._issuer.id_token(code.subject, client, code.nonce, now),
            "token_type": "Bearer",
            "expires_in": 8 * 3600,
        }


def _problem(asked: dict[str, str]) -> str:
    """Say what is wrong with what a client asks for; nothing when it is as it must be."""
    if asked.get("client_id") != DIRECT_CLIENT:
        return f"the client is {DIRECT_CLIENT}"
    back = asked.get("redirect_uri", "")
    if not (is_loopback(back) and back.startswith(("http://", "https://"))):
        return "redirect_uri leads away from this machine"
    if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
        return "response_type is code, with code_challenge_method S256"
    return "" if asked.get("code_challenge") else "code_challenge is missing"
