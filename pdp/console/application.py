"""The console as one ASGI application: its routes, its files, and a page for whatever goes wrong."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..errors import Rejected, Unrecorded
from .events import Streams
from .guard import guarded
from .login import login_routes, signed_out
from .pages import page_routes
from .site import ROOT
from .visit import Console, SignedOut

Handler = Callable[[Request, Exception], Awaitable[Response]]

NOT_FOUND = Rejected(404, "http.404", "There is no such page.")
UNRECORDED = Rejected(503, "audit.unavailable", "It was not recorded, so it did not happen. Try again.")
BROKEN = Rejected(500, "fault", "Something broke here. It is in our log; try again.")


def console_app(console: Console) -> ASGIApp:
    """Return the application for every path under `/console`."""

    async def file(request: Request) -> Response:
        found = console.pages.file(request.path_params["name"], request.path_params["version"])
        if found is None:
            raise NOT_FOUND.fresh()
        return found

    files = Route(f"{ROOT}/static/{{version}}/{{name}}", file, methods=["GET"])
    routes = [*page_routes(console), *login_routes(console), Streams(console).route(), files]
    return guarded(Starlette(routes=routes, exception_handlers=_handlers(console)), console.site)


def _handlers(console: Console) -> dict[type[Exception] | int, Handler]:
    async def rejected(_request: Request, error: Exception) -> Response:
        return _problem(console, error if isinstance(error, Rejected) else BROKEN)

    async def unrecorded(_request: Request, _error: Exception) -> Response:
        return _problem(console, UNRECORDED)

    async def elsewhere(request: Request, _error: Exception) -> Response:
        return signed_out(request, console)

    async def http(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else BROKEN.status
        return _problem(console, Rejected(status, f"http.{status}", NOT_FOUND.title))

    return {
        Rejected: rejected,
        Unrecorded: unrecorded,
        SignedOut: elsewhere,
        HTTPException: http,
        Exception: rejected,  # logged by the server; nobody is told more than that it happened
    }


def _problem(console: Console, problem: Rejected) -> Response:
    response = console.pages.page("problem.html", problem.status, problem=problem)
    response.headers.update(problem.headers)
    return response
