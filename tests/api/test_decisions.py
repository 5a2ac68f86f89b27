"""`POST /v1/decisions`: what comes back, for whom, and what never does."""

import json
from dataclasses import dataclass, replace
from typing import Any

import jsonschema_rs
import pytest

from pdp.api.decisions import unrecorded
from pdp.audit.read import find_entries
from pdp.flow import World, judge_together
from pdp.policy.live import Active, Policy
from pdp.query import query_from
from tests.service import Bench, add_pep

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("api.decisions")]

GOOD = b'{"caller": {"access_token": "a"}, "tool": {"server": "payments", "name": "x"}}'
ANSWER = {"id", "decision", "reasons", "risk", "duties", "receipt", "revisions", "evaluated_at", "elapsed_ms"}


def codes(answer: Any) -> list[str]:
    """Return the reason codes of an answer."""
    return [reason["code"] for reason in answer["reasons"]]


async def test_a_person_with_the_right_is_allowed_and_told_where_it_is_recorded(pdp: Bench) -> None:
    answer = await pdp.ask()
    assert answer["decision"] == "allow", answer
    assert answer["reasons"] == []
    assert answer["id"].startswith("dec_")
    assert answer["receipt"]["entry_digest"].startswith("sha256:")
    assert answer["revisions"]["policy"] == pdp.service.world.policy.active.pack.revision
    assert answer.keys() <= ANSWER


async def test_an_agent_for_a_person_is_allowed_what_both_may_do(pdp: Bench) -> None:
    token = pdp.token(act={"sub": "client-7"})
    answer = await pdp.ask("create_refund", {"order": "o-1", "amount": 100}, token=token)
    assert answer["decision"] == "allow", answer


async def test_an_autonomous_agent_is_allowed_by_its_own_right(pdp: Bench) -> None:
    answer = await pdp.ask(token=pdp.token(sub="client-7", client_id="client-7"))
    assert answer["decision"] == "allow", answer


async def test_a_person_without_the_right_is_denied_with_the_missing_leg_named(pdp: Bench) -> None:
    answer = await pdp.ask(token=pdp.token(sub="00u2"))
    assert (answer["decision"], codes(answer)) == ("deny", ["permits.none"])
    assert answer["reasons"][0]["remedy"]


async def test_an_amount_above_the_entitlement_is_denied(pdp: Bench) -> None:
    answer = await pdp.ask("create_refund", {"order": "o-1", "amount": 10001})
    assert (answer["decision"], codes(answer)) == ("deny", ["permits.none"])


async def test_an_amount_above_the_gate_waits_for_a_human(pdp: Bench) -> None:
    answer = await pdp.ask("create_refund", {"order": "o-1", "amount": 5001})
    assert (answer["decision"], codes(answer)) == ("needs_approval", ["gates.amount"])


async def test_a_destructive_tool_waits_for_a_human(pdp: Bench) -> None:
    answer = await pdp.ask("delete_customer", {"customer": "c-1"})
    assert answer["decision"] == "needs_approval"
    assert "gates.destructive" in codes(answer)
    assert "duties" not in answer


async def test_a_tool_with_personal_data_is_allowed_with_a_duty_to_redact(pdp: Bench) -> None:
    answer = await pdp.ask("get_customer", {"customer": "c-1"})
    assert answer["decision"] == "allow", answer
    assert answer["duties"] == [{"type": "redact", "pointers": ["/date_of_birth", "/ssn"]}]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"sub": "nobody"}, "identity.person_unknown"),
        ({"sub": "00u3"}, "identity.person_inactive"),
        ({"act": {"sub": "stranger"}}, "identity.agent_unknown"),
        ({"act": {"sub": "client-9"}}, "identity.agent_inactive"),
        ({"act": {"sub": "client-8"}}, "identity.delegation_missing"),
        ({"aud": "https://mcp.example/mail"}, "identity.audience"),
        ({"exp": 1}, "identity.expired"),
        ({"iss": "https://evil.example"}, "identity.issuer_unknown"),
    ],
)
@pytest.mark.fault("token.bad", "caller.standing")
async def test_a_caller_who_is_not_in_good_standing_is_denied_on_record(
    pdp: Bench, claims: dict[str, Any], code: str
) -> None:
    answer = await pdp.ask(token=pdp.token(**claims))
    assert (answer["decision"], codes(answer)) == ("deny", [code])
    assert answer["receipt"]["index"] > 0


@pytest.mark.fault("tool.standing")
async def test_a_tool_that_is_unknown_pending_or_changed_is_denied_on_record(pdp: Bench) -> None:
    assert codes(await pdp.ask("no_such_tool")) == ["tool.unknown"]
    assert codes(await pdp.ask("get_report", {})) == ["tool.unapproved"]
    drifted = pdp.query()
    drifted["tool"]["definition_digest"] = "sha256:" + "0" * 64
    assert codes((await pdp.post("/v1/decisions", drifted)).json()) == ["tool.drifted"]
    del drifted["tool"]["definition_digest"]
    assert codes((await pdp.post("/v1/decisions", drifted)).json()) == ["tool.drifted"]


@pytest.mark.parametrize(
    "arguments", [{}, {"order": 5}, {"order": "o-1", "also": 1}, {"order": None}, {"order": ["o-1"]}]
)
@pytest.mark.fault("tool.arguments")
async def test_arguments_outside_the_approved_schema_are_denied(pdp: Bench, arguments: dict[str, Any]) -> None:
    assert codes(await pdp.ask("get_order", arguments)) == ["tool.arguments"]


async def test_an_adapter_that_vouches_for_a_caller_is_denied(pdp: Bench) -> None:
    body = pdp.query() | {"caller": {"asserted": {"person": "alice"}}}
    assert codes((await pdp.post("/v1/decisions", body)).json()) == ["identity.assertion_refused"]


async def test_every_answer_forbids_caching_and_echoes_the_request_id(pdp: Bench) -> None:
    response = await pdp.post("/v1/decisions", pdp.query(), X_Request_ID="my-id-7")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-request-id"] == "my-id-7"
    refused = await pdp.http.post("/v1/decisions", headers={"X-Request-ID": "my-id-8"})
    assert refused.headers["x-request-id"] == "my-id-8"
    strange = await pdp.http.get("/livez", headers={"X-Request-ID": "x" * 500})
    assert strange.headers["x-request-id"].startswith("req_")


@pytest.mark.promise("api.bad_input")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff\xfe", 400),
        (b'{"caller": {"access_token": "a", "access_token": "b"}, "tool": {"server": "payments", "name": "x"}}', 400),
        (GOOD[:-1] + b', "arguments": {"n": NaN}}', 400),
        (GOOD[:-1] + b', "arguments": {"n": 1e999}}', 400),
        (GOOD[:-1] + b', "arguments": {"n": "\\ud800"}}', 400),
        (GOOD[:-1] + b', "arguments": {"n": 1, "\\u006e": 2}}', 400),
        (GOOD[:-1] + b', "extra": 1}', 400),
        (b'{"caller": {}, "tool": {"server": "payments", "name": "x"}}', 400),
        (b'{"caller": {"access_token": "a"}, "tool": {"server": "payments", "name": ""}}', 400),
        (b'{"a":' * 40 + b"1" + b"}" * 40, 400),
        (b"[" * 100_000, 400),
        (b'"' + b"x" * (256 * 1024) + b'"', 413),
    ],
)
@pytest.mark.fault("query.malformed")
async def test_a_malformed_body_is_a_problem_without_an_echo(pdp: Bench, body: bytes, status: int) -> None:
    before = pdp.service.world.log.committed
    response = await pdp.post("/v1/decisions", body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().keys() == {"type", "title", "status", "code"}
    assert len(response.content) < 300
    assert pdp.service.world.log.committed == before, "nothing was decided"


@pytest.mark.promise("api.bad_input")
async def test_a_body_that_is_not_json_by_its_header_is_415(pdp: Bench) -> None:
    assert (await pdp.post("/v1/decisions", pdp.query(), Content_Type="text/plain")).status_code == 415


@pytest.mark.promise("api.access")
@pytest.mark.parametrize("key", ["", "Bearer", "Bearer x", "Basic abc", "Bearer pdp_00_x", "Bearer pdp__"])
@pytest.mark.fault("adapter.stranger")
async def test_nobody_is_answered_without_a_valid_key(pdp: Bench, key: str) -> None:
    response = await pdp.post("/v1/decisions", pdp.query(), Authorization=key)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "reasons" not in response.json()


@pytest.mark.promise("api.access")
@pytest.mark.fault("adapter.stranger")
async def test_a_key_with_one_character_changed_is_refused(pdp: Bench) -> None:
    changed = pdp.key[:-1] + ("A" if pdp.key[-1] != "A" else "B")
    response = await pdp.post("/v1/decisions", pdp.query(), Authorization=f"Bearer {changed}")
    assert response.status_code == 401


@pytest.mark.promise("api.access")
@pytest.mark.fault("adapter.stranger")
async def test_a_key_asks_only_about_its_servers_and_within_its_scopes(pdp: Bench) -> None:
    elsewhere = pdp.query()
    elsewhere["tool"]["server"] = "mail"
    assert (await pdp.post("/v1/decisions", elsewhere)).status_code == 403
    reader = await add_pep(pdp.settings, pdp.clock, scopes=["audit"])
    await pdp.service.peps.poll()
    response = await pdp.post("/v1/decisions", pdp.query(), Authorization=f"Bearer {reader}")
    assert (response.status_code, response.json()["code"]) == (403, "access.scope")


@pytest.mark.promise("api.access")
async def test_no_key_may_ask_about_the_probe_even_with_every_server(pdp: Bench) -> None:
    key = await add_pep(pdp.settings, pdp.clock, servers=("*",))
    await pdp.service.peps.poll()
    probe = pdp.query()
    probe["tool"]["server"] = "pdp.probe"
    response = await pdp.post("/v1/decisions", probe, Authorization=f"Bearer {key}")
    assert response.status_code == 403


@pytest.mark.promise("api.idempotency")
async def test_the_same_idempotency_key_and_body_get_the_same_answer_and_another_body_a_conflict(pdp: Bench) -> None:
    body = pdp.query()
    first = await pdp.post("/v1/decisions", body, Idempotency_Key="k-1")
    again = await pdp.post("/v1/decisions", body, Idempotency_Key="k-1")
    assert first.content == again.content
    other = await pdp.post("/v1/decisions", pdp.query("create_refund"), Idempotency_Key="k-1")
    assert other.status_code == 409


async def test_a_batch_answers_each_in_order_and_a_bad_item_does_not_spoil_the_others(pdp: Bench) -> None:
    items = [pdp.query(), {"nonsense": 1}, pdp.query("delete_customer", {"customer": "c-1"})]
    response = await pdp.post("/v1/decisions/batch", {"decisions": items})
    first, second, third = response.json()["decisions"]
    assert (first["decision"], second["status"], third["decision"]) == ("allow", 400, "needs_approval")
    too_many = await pdp.post("/v1/decisions/batch", {"decisions": [pdp.query()] * 101})
    assert too_many.status_code == 400


async def test_a_query_in_a_batch_keeps_the_limits_of_one_query(pdp: Bench) -> None:
    large = pdp.query(arguments={"order": "x" * pdp.settings.max_body_bytes})
    deep: Any = "o-1"
    for _ in range(pdp.settings.max_depth - 3):
        deep = [deep]
    just, too_deep = pdp.query(context={"x": deep}), pdp.query(context={"x": [[[deep]]]})
    response = await pdp.post("/v1/decisions/batch", {"decisions": [large, just]})
    first, second = response.json()["decisions"]
    assert (first["status"], second["decision"]) == (413, "allow")
    alone = [(await pdp.post("/v1/decisions", query)).status_code for query in (large, just, too_deep)]
    assert alone == [413, 200, 400]


@dataclass
class Interrupted:
    """The real engine, whose first evaluation of a batch finds that people have changed meanwhile."""

    world: World
    change: bool
    asked: int = 0

    @property
    def revision(self) -> str:
        """Return the revision of the real engine."""
        return self.world.policy.active.engine.revision

    async def evaluate(self, entrypoint: str, document: bytes, deadline: float) -> bytes:
        """Ask the real engine."""
        self.asked += 1
        if self.change and self.asked == 1:
            self.world.people.revision += 1
        return await self.world.policy.active.engine.evaluate(entrypoint, document, deadline)

    async def close(self) -> None:
        """The real engine goes on."""


@pytest.mark.parametrize("change", [False, True])
async def test_a_batch_that_a_change_came_into_is_judged_again_on_one_snapshot(pdp: Bench, change: bool) -> None:
    await pdp.ask()  # warm: nothing to wait for before the engine is asked
    queries = [query_from(pdp.query()), query_from(pdp.query())]
    world = pdp.service.world
    engine = Interrupted(world, change)
    policy = Policy(Active(world.policy.active.pack, engine))
    before = world.people.revision
    try:
        judged = await judge_together(queries, "pep_test", "r-1", replace(world, policy=policy), at_once=2)
    finally:
        world.people.revision = before
    assert engine.asked == (4 if change else 2)
    assert {case.identity for case, _ in judged} == {before + change}
    assert [verdict.effect for _, verdict in judged] == ["allow", "allow"]


@pytest.mark.promise("api.visible")
async def test_a_caller_sees_the_tools_it_may_call_at_all(pdp: Bench) -> None:
    names = ["get_order", "delete_customer", "get_report", "no_such_tool"]
    tools = [{"name": name, "definition_digest": pdp.query(name)["tool"]["definition_digest"]} for name in names]
    body = {"caller": {"access_token": pdp.token()}, "server": "payments", "tools": tools}
    response = await pdp.post("/v1/tools/visible", body)
    assert response.status_code == 200, response.text
    seen = {tool["name"]: tool["visible"] for tool in response.json()["tools"]}
    assert seen == {"get_order": True, "delete_customer": True, "get_report": False, "no_such_tool": False}
    assert "private" in response.headers["cache-control"]
    stranger = await pdp.post("/v1/tools/visible", body | {"caller": {"access_token": pdp.token(sub="00u2")}})
    assert not any(tool["visible"] for tool in stranger.json()["tools"])
    refused = await pdp.post("/v1/tools/visible", body | {"caller": {"access_token": "nonsense"}})
    assert codes(refused.json()) == ["identity.token_malformed"]


@pytest.mark.promise("api.outcome")
async def test_an_outcome_is_taken_once_from_the_adapter_that_asked(pdp: Bench) -> None:
    decision = (await pdp.ask())["id"]
    path = f"/v1/decisions/{decision}/outcome"
    told = await pdp.post(path, {"disposition": "executed", "duration_ms": 3.5})
    assert told.status_code == 200, told.text
    again = await pdp.post(path, {"disposition": "executed", "duration_ms": 3.5})
    assert again.content == told.content
    second = await pdp.post(path, {"disposition": "failed"})
    assert (second.status_code, second.json()["code"]) == (409, "outcome.conflict")
    for wrong in ({"disposition": "maybe"}, {"duration_ms": -1}, {"duration_ms": "3"}, {"result_digest": "sha256:0"}):
        assert (await pdp.post(path, {"disposition": "executed", **wrong})).status_code == 400
    other = await add_pep(pdp.settings, pdp.clock)
    await pdp.service.peps.poll()
    foreign = await pdp.post(path, {"disposition": "executed"}, Authorization=f"Bearer {other}")
    assert foreign.status_code == 404


@pytest.mark.promise("api.outcome")
async def test_a_call_that_ran_without_an_allow_is_marked_on_record(pdp: Bench) -> None:
    refused, allowed = await pdp.ask("get_report", {}), await pdp.ask()
    for given, marked in ((refused, True), (allowed, False)):
        await pdp.post(f"/v1/decisions/{given['id']}/outcome", {"disposition": "executed"})
        _, outcome = find_entries(pdp.settings.data_dir, given["id"])
        assert outcome.body.get("unenforced", False) is marked
    shown = await pdp.ask("get_report", {})
    await pdp.post(f"/v1/decisions/{shown['id']}/outcome", {"disposition": "not_executed"})
    assert "unenforced" not in find_entries(pdp.settings.data_dir, shown["id"])[1].body


@pytest.mark.promise("api.outcome")
async def test_the_record_of_a_decision_can_be_read_with_its_outcome_by_who_may_audit(pdp: Bench) -> None:
    asked = await pdp.ask()
    await pdp.post(f"/v1/decisions/{asked['id']}/outcome", {"disposition": "executed"})
    await pdp.service.projected()
    response = await pdp.http.get(f"/v1/decisions/{asked['id']}", headers={"Authorization": f"Bearer {pdp.key}"})
    assert response.status_code == 200, response.text
    entry = response.json()["entry"]
    assert entry["body"]["decision"] == "allow"
    assert entry["body"]["input"]["caller"]["person"]["id"] == "alice"
    assert response.json()["outcome"]["body"]["outcome"] == {"disposition": "executed"}
    decider = await add_pep(pdp.settings, pdp.clock)
    await pdp.service.peps.poll()
    for key, status in ((decider, 403), ("", 401)):
        refused = await pdp.http.get(f"/v1/decisions/{asked['id']}", headers={"Authorization": f"Bearer {key}"})
        assert refused.status_code == status


@pytest.mark.promise("audit.no_secrets")
async def test_the_access_token_is_nowhere_in_the_log(pdp: Bench) -> None:
    token = pdp.token()
    await pdp.ask(token=token, context={"note": f"my token is {token}"})
    logs = b"".join(path.read_bytes() for path in (pdp.settings.data_dir / "log").rglob("*") if path.is_file())
    assert len(logs) > 1000
    assert token.encode() not in logs
    assert token.rpartition(".")[2].encode() not in logs


@pytest.mark.promise("api.health")
async def test_the_service_is_alive_ready_and_counted(pdp: Bench) -> None:
    await pdp.ask()
    assert (await pdp.http.get("/livez")).json() == {"status": "alive"}
    assert (await pdp.http.get("/readyz")).json() == {"status": "ready"}
    page = (await pdp.http.get("/metrics")).text
    assert 'pdp_decisions_total{decision="allow"}' in page
    assert "pdp_ready 1.0" in page


@pytest.mark.promise("api.openapi")
async def test_the_openapi_description_names_every_route_and_resolves_every_reference(pdp: Bench) -> None:
    description = (await pdp.http.get("/openapi.json")).json()
    paths = {"/v1/decisions", "/v1/decisions/batch", "/v1/tools/visible", "/v1/decisions/{id}"}
    assert paths | {"/v1/decisions/{id}/outcome"} <= description["paths"].keys()
    references = {part.split('"')[0] for part in json.dumps(description).split('"$ref": "#/components/schemas/')[1:]}
    assert references <= description["components"]["schemas"].keys()
    answers = [(name, o["responses"]) for name, path in description["paths"].items() for o in path.values()]
    unprocessable = {name for name, responses in answers if "422" in responses}
    assert unprocessable == {"/v1/policy/activate"}, "what is malformed is a 400 here"
    assert description["paths"]["/metrics"]["get"]["responses"]["200"]["content"].keys() == {"text/plain"}


@pytest.mark.promise("api.openapi")
async def test_what_is_answered_is_what_the_openapi_description_says(pdp: Bench) -> None:
    described = (await pdp.http.get("/openapi.json")).json()
    fits = {
        name: jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", **described}).is_valid
        for name in ("Answer", "Answers", "Problem", "Unrecorded", "Visible", "Told")
    }
    asked = await pdp.ask()
    assert fits["Answer"](asked)
    assert not fits["Answer"](asked | {"decision": "maybe"})
    items = [pdp.query(), {"nonsense": 1}]
    assert fits["Answers"]((await pdp.post("/v1/decisions/batch", {"decisions": items})).json())
    assert fits["Problem"]((await pdp.post("/v1/decisions", b"{")).json())
    assert fits["Unrecorded"](json.loads(unrecorded()))
    told = await pdp.post(f"/v1/decisions/{asked['id']}/outcome", {"disposition": "executed"})
    assert fits["Told"](told.json())


@pytest.mark.promise("api.bad_input")
@pytest.mark.parametrize("name", ["$int", "\\u0024int", "$\\u0069nt"])
async def test_nobody_else_writes_an_integer_as_we_do(pdp: Bench, name: str) -> None:
    body = json.dumps(pdp.query(arguments={"order": {"deep": [{"TAG": "9007199254740993"}]}})).replace("TAG", name)
    response = await pdp.post("/v1/decisions", body.encode())
    assert (response.status_code, response.json()["code"]) == (400, "query.malformed")
    fine = json.dumps(pdp.query(arguments={"order": "$int"})).encode()
    assert (await pdp.post("/v1/decisions", fine)).json()["decision"] == "allow"


@pytest.mark.promise("api.bad_input")
async def test_an_unknown_path_or_method_is_a_problem(pdp: Bench) -> None:
    for response in (await pdp.http.get("/nowhere"), await pdp.http.get("/v1/decisions")):
        assert response.status_code in {404, 405}
        assert response.headers["content-type"] == "application/problem+json"
