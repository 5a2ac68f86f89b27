"""The OpenAPI description, generated from the same Structs that are read and sent; problems and request ids for all."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..errors import Rejected, Unrecorded
from ..times import Clock
from .http import App, Message, Receive, Scope, Send, problem, request_id

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
    },
}
PROBLEMS = {
    400: "Malformed, or deeper than allowed.",
    401: "No valid key.",
    403: "The key lacks the scope or the server.",
    404: "Not known to this adapter.",
    409: "Used before with another body.",
    412: "Changed since that revision.",
    413: "Too large.",
    415: "Not application/json.",
    422: "Refused as it stands; the problems say where and why.",
    429: "Too often.",
    503: "Not recorded, or too much under way: denied.",
}
FASTAPI_422 = "Validation Error"
FASTAPI_OWN = {"HTTPValidationError", "ValidationError"}
SECURITY: dict[str, Any] = {"key": {"type": "http", "scheme": "bearer", "description": "A key from `pdp keys create`."}}


def reads(kind: type) -> dict[str, Any]:
    """Return `openapi_extra` for a route whose body is the Struct `kind` and whose caller needs a key."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"requestBody": body, "security": [{"key": []}]}


def answers(name: str, *problems: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for a route that sends the schema of that name, or one of these problems."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": "Done.", "content": {"application/json": {"schema": schema}}}
    }
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in problems:
        found[status] = {"description": PROBLEMS[status], "content": content}
    return found


def one_of(*names: str) -> dict[str, Any]:
    """Return the schema of a value that is one of the named ones."""
    return {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}


def describe(routes: FastAPI, kinds: list[type], more: dict[str, Any]) -> None:
    """Let `/openapi.json` carry the schemas of `kinds`, and `more`, which routes refer to by name."""
    original: Callable[[], dict[str, Any]] = routes.openapi

    def openapi() -> dict[str, Any]:
        description = original()
        _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
        components = description.setdefault("components", {})
        components.setdefault("schemas", {}).update({**schemas, "Problem": PROBLEM, **more})
        components["securitySchemes"] = SECURITY
        for operation in [operation for path in description["paths"].values() for operation in path.values()]:
            if operation["responses"].get("422", {}).get("description") == FASTAPI_422:
                del operation["responses"]["422"]  # FastAPI adds it; what is malformed is a 400 here
        components["schemas"] = {k: v for k, v in components["schemas"].items() if k not in FASTAPI_OWN}
        return description

    routes.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this as the way to extend it


def handle_problems(routes: FastAPI, count: Callable[[str], None]) -> None:
    """Turn every refusal to answer into application/problem+json, without an echo or a stack; `count` its code."""

    def _problem(error: Rejected) -> Response:
        count(error.code)
        headers = {"Cache-Control": "no-store", **error.headers}
        return JSONResponse(problem(error), error.status, headers, media_type="application/problem+json")

    @routes.exception_handler(Rejected)
    async def rejected(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Rejected)  # noqa: S101  # FastAPI calls it for nothing else
        return _problem(error)

    @routes.exception_handler(RequestValidationError)
    async def parameters(_request: Request, _error: Exception) -> Response:
        return _problem(Rejected(400, "http.parameters", "A part of the path or query is not as it must be."))

    @routes.exception_handler(Unrecorded)
    async def unrecorded(_request: Request, _error: Exception) -> Response:
        return _problem(Rejected(503, "audit.unavailable", PROBLEMS[503], headers={"Retry-After": "1"}))

    @routes.exception_handler(Exception)  # logged by the server; nobody is told more than that it happened
    async def fault(_request: Request, _error: Exception) -> Response:
        return _problem(Rejected(500, "fault", "The PDP met an unexpected condition."))

    @routes.exception_handler(HTTPException)
    async def http(_request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        return _problem(Rejected(status, f"http.{status}", str(getattr(error, "detail", "error"))))


def with_request_ids(routes: App, now: Clock) -> App:
    """Echo X-Request-ID, or a new one, on every response of `routes`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await routes(scope, receive, send)
            return
        rid = request_id(scope, now)
        scope["request_id"] = rid

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", rid.encode())]
            await send(message)

        await routes(scope, receive, echo)

    return application
