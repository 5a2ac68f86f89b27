"""`/v1/identity`: reading, feeds with optimistic concurrency, and kill switches, through a whole service."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.flow.people import FEED, agent, alias, delegation
from tests.idp import ISSUER
from tests.service import Bench, add_pep, running

pytestmark = pytest.mark.promise("api.identity")
DAVE = {"source": "hr", "people": [{"id": "dave", "aliases": alias("00u9")}]}
WHY: dict[str, Any] = {"reason": "test"}


@pytest.fixture
async def pdp(tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a service of its own: these tests change who may do what."""
    async with running(tmp_path) as bench:
        yield bench


@pytest.fixture
async def operator(pdp: Bench) -> Bench:
    """Return the same service, asked with a key of scope `identity`."""
    key = await add_pep(pdp.settings, pdp.clock, scopes=["identity"])
    await pdp.service.peps.poll()
    return replace(pdp, key=key)


async def read(bench: Bench, path: str) -> Any:
    return await bench.http.get(path, headers={"Authorization": f"Bearer {bench.key}"})


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [
        ("person/alice", {}, "identity.person_inactive"),
        ("agent/bot", {}, "identity.agent_inactive"),
        ("agent/bot", {"everything": True}, "identity.agent_inactive"),
        ("client/client-7", {"issuer": ISSUER}, "identity.client_revoked"),
        ("session/s-1", {"issuer": ISSUER}, "identity.session_revoked"),
    ],
)
@pytest.mark.promise("store.kills")
async def test_who_is_revoked_is_denied_at_the_next_call_and_allowed_once_reinstated(
    path: str, more: dict[str, Any], code: str, pdp: Bench, operator: Bench
) -> None:
    token = {"act": {"sub": "client-7"}, "sid": "s-1"}
    assert (await pdp.ask(token=pdp.token(**token)))["decision"] == "allow"
    done = await operator.post(f"/v1/identity/{path}/revoke", {**WHY, **more})
    assert done.status_code == 200, done.text
    denied = await pdp.ask(token=pdp.token(**token))
    assert [reason["code"] for reason in denied["reasons"]] == [code]
    again = {key: value for key, value in more.items() if key != "everything"}
    assert (await operator.post(f"/v1/identity/{path}/reinstate", {**WHY, **again})).status_code == 200
    await pdp.service.world.people.poll()
    answer = await pdp.ask(token=pdp.token(**token))
    expected = "deny" if "everything" in more else "allow"  # what was delegated stays revoked
    assert answer["decision"] == expected, answer


async def test_a_feed_comes_in_only_at_the_revision_its_sender_has_seen(operator: Bench) -> None:
    shown = await read(operator, "/v1/identity/person/alice")
    assert shown.json()["registered"]["id"] == "alice"
    etag = shown.headers["etag"]
    first = await operator.post("/v1/identity/feeds", DAVE, If_Match=etag)
    assert [row["key"] for row in first.json()["differences"]] == ["dave", f"{ISSUER} 00u9"]
    late = await operator.post("/v1/identity/feeds", {**DAVE, "people": []}, If_Match=etag)
    assert (late.status_code, late.json()["code"]) == (412, "identity.moved_on")


async def test_a_decision_says_on_which_revision_of_people_it_stands(pdp: Bench, operator: Bench) -> None:
    before = (await pdp.ask())["revisions"]["identity"]
    brought = await operator.post("/v1/identity/feeds", DAVE)
    await pdp.service.world.people.poll()
    assert (await pdp.ask())["revisions"]["identity"] == brought.json()["revision"] > before


async def test_a_dry_run_tells_and_changes_nothing_and_pruning_removes(operator: Bench) -> None:
    dry = await operator.post("/v1/identity/feeds?dry_run=true", DAVE)
    assert len(dry.json()["differences"]) == 2
    assert (await read(operator, "/v1/identity/person/dave")).status_code == 404
    await operator.post("/v1/identity/feeds", DAVE)
    pruned = await operator.post("/v1/identity/feeds?prune=hr", {"source": "hr"})
    assert {row["action"] for row in pruned.json()["differences"]} == {"removed"}
    assert (await read(operator, "/v1/identity/person/dave")).status_code == 404
    assert (await operator.post("/v1/identity/feeds?prune=corp", {"source": "hr"})).status_code == 409


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("person/nobody/revoke", WHY, 404),
        ("client/c/revoke", WHY, 409),
        ("person/alice/revoke", {"reason": "r", "because": 1}, 400),
        ("feeds", {"source": "hr", "people": [{"id": "x", "grops": []}]}, 400),
        ("feeds", {"source": "hr", "people": [{"id": "x", "groups": ["unheard-of"]}]}, 409),
    ],
)
async def test_what_cannot_be_done_is_a_problem_without_an_echo(
    path: str, body: Any, status: int, operator: Bench
) -> None:
    response = await operator.post(f"/v1/identity/{path}", body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert not any(word in response.text for word in ("nobody", "because", "grops", "unheard-of"))


@pytest.mark.parametrize("source", ["mcp-pdp", "pep_0123", "cli:root"])
async def test_a_feed_from_outside_does_not_speak_for_the_pdp_its_keys_or_its_operators(
    source: str, operator: Bench
) -> None:
    for path in ("/v1/identity/feeds", f"/v1/identity/feeds?prune={source}"):
        response = await operator.post(path, {"source": source})
        assert (response.status_code, response.json()["code"]) == (409, "identity.refused")


async def test_the_same_idempotency_key_gets_no_allow_of_before_a_kill(pdp: Bench, operator: Bench) -> None:
    body = pdp.query()
    first = await pdp.post("/v1/decisions", body, Idempotency_Key="k-1")
    assert first.json()["decision"] == "allow"
    await operator.post("/v1/identity/person/alice/revoke", WHY)
    again = await pdp.post("/v1/decisions", body, Idempotency_Key="k-1")
    assert [reason["code"] for reason in again.json()["reasons"]] == ["identity.person_inactive"]


async def test_a_killed_agent_does_not_come_back_by_a_feed_that_renames_it(pdp: Bench, operator: Bench) -> None:
    token = {"act": {"sub": "client-7"}}
    await operator.post("/v1/identity/agent/bot/revoke", WHY)
    bots = [agent("bot-renamed", "client-7") if one["id"] == "bot" else one for one in FEED["agents"]]
    given = [delegation("alice", "bot-renamed")]
    renamed = await operator.post("/v1/identity/feeds", {**FEED, "agents": bots, "delegations": given, "people": []})
    assert renamed.status_code == 200, renamed.text
    denied = await pdp.ask(token=pdp.token(**token))
    assert [reason["code"] for reason in denied["reasons"]] == ["identity.client_revoked"]


@pytest.mark.parametrize("path", ["/v1/identity/feeds?dry_run=<script>", "/v1/identity/<script>/x/revoke"])
async def test_a_path_or_query_that_is_not_as_it_must_be_is_a_problem_without_an_echo(
    path: str, operator: Bench
) -> None:
    response = await operator.post(path, DAVE)
    assert (response.status_code, response.json()["code"]) == (400, "http.parameters")
    assert response.headers["content-type"] == "application/problem+json"
    assert "script" not in response.text


async def test_a_key_without_the_scope_reads_and_stops_nobody(pdp: Bench) -> None:
    assert (await pdp.post("/v1/identity/person/alice/revoke", WHY)).status_code == 403
    assert (await pdp.post("/v1/identity/feeds", DAVE)).status_code == 403
    assert (await read(pdp, "/v1/identity/person/alice")).status_code == 403
    assert (await pdp.ask())["decision"] == "allow"
