"""Alive, ready, and the numbers behind it. Open to all: they say nothing about callers, tools or policy."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from ..readiness import Readiness
from .metrics import Metrics


def router(readiness: Readiness, metrics: Metrics) -> APIRouter:
    """Return the routes `/livez`, `/readyz` and `/metrics`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez")
    async def livez() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "alive"}

    @routes.get("/readyz", responses={503: {"description": "A known allow or a known deny did not come back right."}})
    async def readyz(response: Response) -> dict[str, str]:
        """Say whether a known allow and a known deny come back right; what did not is in the service's own log."""
        problem = await readiness.problem()
        if problem is None:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "not ready"}

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def numbers(_request: Request) -> Response:
        """Return Prometheus metrics."""
        body, kind = metrics.page()
        return Response(body, media_type=kind)

    return routes
