"""Who is answered what: each route with every kind of credential, and an adapter that holds the ids of another."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from pdp.identity.peps import RIGHTS
from pdp.ids import new_id
from tests.console import REFUND, Stage, console_running
from tests.service import add_pep

pytestmark = [pytest.mark.promise("api.access"), pytest.mark.asyncio(loop_scope="module")]
HERE = {"kind": "person", "id": "nobody", "version": "v", "name": "console.css"}
OPEN, PERSON, SESSION = "open", "person", "session"
EVERYBODY = ("none", "garbage", PERSON, *RIGHTS)


@dataclass(frozen=True)
class Opens:
    """What a route is opened by (rights of a key, a person's token, a console session, or nothing), and its answer.

    `status` is the answer to an empty body, by whoever may ask.
    """

    by: tuple[str, ...]
    status: int


TABLE = {
    "POST /v1/decisions": Opens(("decide",), 400),
    "POST /v1/decisions/batch": Opens(("decide",), 400),
    "POST /v1/tools/visible": Opens(("decide",), 400),
    "POST /v1/decisions/{id}/outcome": Opens(("decide",), 400),
    "GET /v1/decisions/{id}": Opens(("audit",), 404),
    "POST /v1/identity/feeds": Opens(("identity",), 400),
    "GET /v1/identity/{kind}/{id:path}": Opens(("identity",), 404),
    "POST /v1/identity/{kind}/{id:path}/revoke": Opens(("identity",), 400),
    "POST /v1/identity/{kind}/{id:path}/reinstate": Opens(("identity",), 400),
    "POST /v1/signals": Opens(("signals",), 400),
    "DELETE /v1/signals/{id:path}": Opens(("signals",), 404),
    "GET /v1/approvals": Opens((PERSON,), 200),
    "GET /v1/approvals/{id}": Opens((PERSON, "decide"), 404),
    "POST /v1/approvals/{id}/votes": Opens((PERSON,), 400),
    "POST /v1/approvals/{id}/cancel": Opens((PERSON, "decide"), 404),
    "POST /v1/approvals/{id}/revoke": Opens((PERSON, "decide"), 404),
    "GET /v1/policy": Opens(("policy",), 200),
    "POST /v1/policy/activate": Opens(("policy",), 200),
    "GET /v1/policy/bundle": Opens(("policy",), 200),
    "GET /livez": Opens((OPEN,), 200),
    "GET /readyz": Opens((OPEN,), 200),
    "GET /metrics": Opens((OPEN,), 200),
    "GET /openapi.json": Opens((OPEN,), 200),
}
"""Every route but those of the console."""
CONSOLE = {
    "GET /console/login": 200,
    "GET /console/login/start": 303,
    "GET /console/login/done": 400,
    "GET /console/static/{version}/{name}": 404,
}
"""What the console answers without a session: these, and to its other pages a way to the sign-in, or a refusal."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return a whole service with a console and people."""
    async with console_running(tmp_path_factory.mktemp("isolation")) as stage:
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bearers(stage: Stage) -> dict[str, dict[str, str]]:
    """Return headers of every kind of credential, a key for each right among them, good for all servers."""
    keys: dict[str, str] = {}
    for right in RIGHTS:
        keys[right] = await add_pep(stage.settings, stage.clock, ("*",), [right])
    await stage.service.peps.poll()
    shown = {**keys, "garbage": "pdp_0_x", PERSON: stage.token()}
    headers: dict[str, dict[str, str]] = {"none": {}}
    return headers | {name: {"Authorization": f"Bearer {bearer}"} for name, bearer in shown.items()}


def applications(part: Any, seen: set[int]) -> Iterator[Starlette]:
    """Yield the applications with routes behind an ASGI application, through whatever is wrapped around them."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, Starlette):
        yield part
    for cell in getattr(part, "__closure__", None) or ():
        if callable(cell.cell_contents):
            yield from applications(cell.cell_contents, seen)


def within(listed: Any) -> Iterator[Route]:
    """Yield routes, those of included routers too; what is neither must not be missed."""
    for route in listed:
        if hasattr(route, "original_router"):  # how FastAPI keeps a router that was included
            yield from within(route.original_router.routes)
        else:
            assert isinstance(route, Route), route
            yield route


def routes(stage: Stage) -> list[str]:
    """Return every route that is served, as `METHOD path`."""
    found = [route for app in applications(stage.service.app, set()) for route in within(app.routes)]
    return sorted(f"{method} {route.path}" for route in found for method in (route.methods or set()) - {"HEAD"})


def path_of(route: str) -> tuple[str, str]:
    """Return a method and a path with something in its places."""
    method, _, path = route.partition(" ")
    for name, value in HERE.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return method, path


async def answered(stage: Stage, route: str, headers: dict[str, str]) -> httpx.Response:
    """Ask a route with an empty body."""
    method, path = path_of(route)
    async with httpx.AsyncClient(base_url=stage.url, timeout=30) as http:
        return await http.request(method, path, json={} if method == "POST" else None, headers=headers)


async def test_the_table_has_every_route_that_is_served(stage: Stage) -> None:
    served = {route for route in routes(stage) if "/console" not in route}
    assert served == TABLE.keys(), "say in TABLE who may ask it"
    assert len(routes(stage)) > len(TABLE) + len(CONSOLE), "the console is there too"


@pytest.mark.parametrize("route", TABLE)
async def test_a_route_answers_those_it_is_for_and_nobody_else(
    route: str, stage: Stage, bearers: dict[str, dict[str, str]]
) -> None:
    opens = TABLE[route]
    for who in EVERYBODY:
        said = await answered(stage, route, bearers[who])
        if OPEN in opens.by or who in opens.by:
            expected = opens.status
        else:  # a key we know, on a route for keys, lacks a right; anybody else is nobody
            expected = 403 if who in RIGHTS and set(opens.by) & set(RIGHTS) else 401
        assert said.status_code == expected, (who, said.status_code, said.text)
        if expected in {401, 403}:
            assert said.json().keys() == {"type", "title", "status", "code"}, "and no word about what is there"


async def test_the_console_shows_nothing_without_a_session_whoever_asks(
    stage: Stage, bearers: dict[str, dict[str, str]]
) -> None:
    pages = [route for route in routes(stage) if "/console" in route]
    assert CONSOLE.keys() < set(pages)
    for route in pages:
        for who in ("none", PERSON, "approvals"):
            said = await answered(stage, route, bearers[who])
            away = said.status_code == 303 and said.headers["location"].startswith("/console/login")
            assert said.status_code == CONSOLE.get(route) or away or said.status_code in {401, 403}, (route, who, said)


@dataclass(frozen=True)
class Two:
    """An adapter of another server, one of the same server, and what belongs to neither."""

    elsewhere: dict[str, str]
    beside: dict[str, str]
    decision: str
    approval: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(stage: Stage) -> Two:
    """Return two adapters, and ids of a third."""
    rights: list[str] = [*RIGHTS]
    keys = [await add_pep(stage.settings, stage.clock, (name,), rights) for name in ("crm", "payments")]
    await stage.service.peps.poll()
    elsewhere, beside = ({"Authorization": f"Bearer {key}"} for key in keys)
    approval, decided = await stage.asked(), await stage.ask("get_order", {"order": "o-1"})
    await stage.service.projected()
    return Two(elsewhere, beside, decided["id"], approval)


OUTCOME = {"disposition": "executed"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/decisions/{decision}", None),
        ("POST", "/v1/decisions/{decision}/outcome", OUTCOME),
        ("GET", "/v1/approvals/{approval}", None),
        ("POST", "/v1/approvals/{approval}/cancel", {}),
        ("POST", "/v1/approvals/{approval}/revoke", {}),
        ("POST", "/v1/approvals/{approval}/votes", {"vote": "approve", "presented_digest": "x"}),
        ("DELETE", "/v1/signals/{decision}", None),
    ],
)
async def test_an_id_of_another_server_is_answered_as_one_that_does_not_exist(
    method: str, path: str, body: Any, stage: Stage, two: Two
) -> None:
    none = {"decision": new_id("dec", stage.clock()), "approval": new_id("apr", stage.clock())}
    theirs = {"decision": two.decision, "approval": two.approval}
    async with httpx.AsyncClient(base_url=stage.url, headers=two.elsewhere) as http:
        said = [await http.request(method, path.format(**ids), json=body) for ids in (theirs, none)]
    assert said[0].status_code in {401, 404}
    assert (said[0].status_code, said[0].content) == (said[1].status_code, said[1].content)


async def test_the_outcome_of_a_decision_is_taken_from_the_adapter_that_asked_and_not_from_its_neighbour(
    stage: Stage, two: Two
) -> None:
    async with httpx.AsyncClient(base_url=stage.url) as http:
        path = f"/v1/decisions/{two.decision}/outcome"
        assert (await http.post(path, json=OUTCOME, headers=two.beside)).status_code == 404
        own = {"Authorization": f"Bearer {stage.key}"}
        assert (await http.post(path, json=OUTCOME, headers=own)).status_code == 200


async def test_an_idempotency_key_of_another_adapter_gives_its_answer_to_nobody_else(stage: Stage, two: Two) -> None:
    body = {"caller": {"access_token": "x"}, "tool": {"server": "payments", "name": "get_order"}, "arguments": {}}
    async with httpx.AsyncClient(base_url=stage.url) as http:
        told = [
            (await http.post("/v1/decisions", json=body, headers={**who, "Idempotency-Key": "one"})).json()
            for who in ({"Authorization": f"Bearer {stage.key}"}, two.beside, two.beside)
        ]
    assert told[0]["id"] != told[1]["id"]
    assert told[1]["id"] == told[2]["id"], "its own is repeated"


async def test_an_approval_of_another_caller_opens_nothing_and_is_as_unknown_as_none(stage: Stage, two: Two) -> None:
    """An adapter that learned the id names it in a call of its own, for the same server."""
    said = []
    for approval in (two.approval, new_id("apr", stage.clock())):
        body = {
            "caller": {"access_token": stage.token("u-bob", "https://payments.example/mcp")},
            "tool": {"server": "payments", "name": "create_refund"},
            "arguments": REFUND,
            "approval": approval,
        }
        async with httpx.AsyncClient(base_url=stage.url, headers=two.beside) as http:
            answer = (await http.post("/v1/decisions", json=body)).json()
        said.append((answer["decision"], [reason["code"] for reason in answer["reasons"]]))
    assert said[0] == said[1]
    assert said[0][0] != "allow"


@pytest.mark.promise("audit.no_secrets")
async def test_no_key_or_token_that_was_shown_is_in_metrics_or_errors(
    stage: Stage, bearers: dict[str, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    secrets = [
        headers["Authorization"].split()[1] for name, headers in bearers.items() if name not in {"none", "garbage"}
    ]
    said = []
    for route in TABLE:
        for who in (PERSON, "decide", "policy"):
            reply = await answered(stage, route, bearers[who])
            said.append(reply.text + json.dumps(dict(reply.headers)))
    said += [caplog.text, (await answered(stage, "GET /metrics", {})).text]
    said += [
        path.read_bytes().decode("latin-1") for path in (stage.settings.data_dir / "log").rglob("*") if path.is_file()
    ]
    assert any("decision" in text for text in said), "the log was read"
    for secret in secrets:
        whole = (
            secret.split("_", 2)[2] if secret.startswith("pdp_") else secret.rpartition(".")[2]
        )  # both may hold a `_`
        for part in (secret, whole):
            assert all(part not in text for text in said), "a secret is repeated"
