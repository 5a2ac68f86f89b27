"""What every page and every form goes through: headers that leave a browser little to do wrong, and who sent a form.

A form counts only when the browser says it comes from one of our pages, and when it holds the secret of this very
session (OWASP, Cross-Site Request Forgery Prevention; Fetch Metadata Request Headers, section 2.1).
"""

import hmac
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Rejected
from .cookies import Session
from .site import Site

MAX_FORM_BYTES = 16 * 1024  # a reason of 500 characters, however it is encoded, and a few short fields
MAX_FIELDS = 16
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",  # for what does not know frame-ancestors
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers hide the origin of our own forms from us
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
FOREIGN = Rejected(403, "console.foreign_form", "That form was not sent from a page of this session. Open it again.")


def guarded(app: ASGIApp, site: Site) -> ASGIApp:
    """Return `app` with the headers on every answer, also on its refusals; kept nowhere unless it says otherwise."""
    transport = {"Strict-Transport-Security": "max-age=31536000"} if site.is_secure else {}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, **transport})
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await app(scope, receive, with_headers)

    return application


async def posted(request: Request, session: Session, site: Site) -> dict[str, str]:
    """Return the fields of a form that a page of this session sent. Raises `Rejected` 400, 403, 413 or 415."""
    _must_be_ours(request, site)
    fields = await _fields(request)
    if not hmac.compare_digest(fields.get("form_secret", "").encode(), session.form_secret.encode()):
        raise FOREIGN.fresh()
    return fields


def _must_be_ours(request: Request, site: Site) -> None:
    origins, sites = (request.headers.getlist(name) for name in ("origin", "sec-fetch-site"))
    if origins not in ([], [site.origin]) or sites not in ([], ["same-origin"]) or not origins + sites:
        raise FOREIGN.fresh()


async def _fields(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Rejected(415, "console.media_type", "Send it as a form.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            raise Rejected(413, "console.too_large", "That is too much text for one form.")
    try:
        pairs = parse_qsl(body.decode("ascii"), True, True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Rejected(400, "console.malformed", "The form cannot be read.") from None
    if len(dict(pairs)) != len(pairs):
        raise Rejected(400, "console.malformed", "The form names a field twice.")
    return dict(pairs)
