"""The HTTP face is what its OpenAPI description says, asked by schemathesis; `make fuzz` asks for longer."""

import asyncio
from pathlib import Path

import pytest

from tests.fuzz.api import conform
from tests.service import Bench, add_pep

pytestmark = pytest.mark.promise("api.openapi")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_operation_answers_as_described_whatever_it_is_asked(tmp_path: Path) -> None:
    flags = ("--phases", "examples,coverage", "--generation-deterministic")
    done = asyncio.run(conform(tmp_path, *flags))
    assert not done.wrong, done.wrong
    assert done.cases > 500


@pytest.mark.asyncio(loop_scope="session")
async def test_a_method_that_is_not_there_is_answered_with_those_that_are(pdp: Bench) -> None:
    response = await pdp.http.get("/v1/decisions")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.promise("api.bad_input")
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("tag", ["1" * 5000, "\u00b2", "-1", 'W/"1"', "W/1", "*"])
async def test_an_if_match_that_is_no_revision_is_a_problem(pdp: Bench, tag: str) -> None:
    key = await add_pep(pdp.settings, pdp.clock, scopes=["identity"])
    await pdp.service.peps.poll()
    given = {b"Authorization": f"Bearer {key}".encode(), b"Content-Type": b"application/json"}
    headers = {**given, b"If-Match": tag.encode("latin-1")}
    response = await pdp.http.post("/v1/identity/feeds", content=b'{"source": "x"}', headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "http.if_match")


@pytest.mark.promise("api.hostile")
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/identity/person/alice/revoke", {"reason": "r", "x\nERROR forged": 1}),
        ("/v1/signals", {"id": "s", "entity_kind": "person", "entity": "alice", "code": "x\nERROR forged"}),
    ],
)
async def test_no_order_writes_a_line_of_its_own_into_the_log(
    pdp: Bench, caplog: pytest.LogCaptureFixture, path: str, body: dict[str, object]
) -> None:
    key = await add_pep(pdp.settings, pdp.clock, scopes=["identity", "signals"])
    await pdp.service.peps.poll()
    response = await pdp.post(path, {**body, "observed_at": "2026-01-05T10:00:00Z"}, Authorization=f"Bearer {key}")
    assert response.status_code == 400
    said = [record.getMessage() for record in caplog.records]
    assert all(line.isprintable() for line in said), said
