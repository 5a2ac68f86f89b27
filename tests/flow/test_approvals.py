"""A call that needs approval: people are asked, exactly that call runs once, and what changed since counts."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.approvals import requests
from pdp.approvals.electorate import Electorate
from pdp.approvals.floor import Voter
from pdp.approvals.requests import Ballot
from pdp.approvals.view import presented_digest, shown_to_a_person
from pdp.audit.office import Office
from pdp.enrich import AgentFacts
from pdp.errors import Rejected
from pdp.identity.feed import read_feed
from pdp.identity.importer import import_feed
from pdp.query import ToolRef, action_digest, definition_digest
from pdp.registry.labels import Review
from pdp.registry.review import approve, submit
from pdp.store import approvals as stored
from pdp.store.sql import reading
from pdp.vet import Tool
from tests.conftest import FakeClock
from tests.flow.people import FEED
from tests.service import TOOLS, Bench, calm, running

APPROVERS = {
    "source": "approvers",
    "people": [
        {"id": "dave", "roles": ["approver"]},
        {"id": "erin", "roles": ["approver", "security-approver"]},
        {"id": "frank"},
    ],
    "roles": [{"id": "approver"}, {"id": "security-approver"}],
}
REFUND = {"order": "o-1", "amount": 6000}


@pytest.fixture
async def bench(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Bench]:
    async with running(tmp_path / "pdp", clock, org_dir=calm(tmp_path / "org")) as bench:
        await know(bench, APPROVERS)
        yield bench


def office(bench: Bench) -> Office:
    world = bench.service.world
    return Office(world.store, world.log, world.now)


async def know(bench: Bench, feed: dict[str, Any]) -> None:
    """Bring in people; what an earlier feed of that source said is replaced."""
    await import_feed(office(bench), read_feed(msgspec.json.encode(feed)))
    await bench.service.world.people.poll()


async def vote(bench: Bench, identifier: str, person: str, cast: Any = "approve") -> dict[str, Any]:
    """Vote as a person, by the rules of the policy in force."""
    import asyncio

    world = bench.service.world

    async def rule(request: Any, votes: Any, ballot: Ballot) -> Any:
        tool, agent = request["shown"]["tool"], request["shown"]["caller"].get("agent")
        known = msgspec.convert(tool, Tool), agent and msgspec.convert(agent, AgentFacts)
        deadline = asyncio.get_running_loop().time() + 5
        return await Electorate(world, world.policy.active, *known, deadline).rule(request, votes, ballot)

    ballot = Ballot(Voter(person, "person"), cast, "because", "sha256:seen")
    return await requests.vote(office(bench), identifier, ballot, rule)


async def asked(bench: Bench, tool: str = "create_refund", arguments: Any = REFUND) -> str:
    """Ask for a call that needs approval; returns the request."""
    told = await bench.ask(tool, arguments)
    assert told["decision"] == "needs_approval", told
    identifier: str = told["approval"]["id"]
    return identifier


async def later_on(bench: Bench, clock: FakeClock, seconds: int) -> None:
    """Let time pass, during which everything that follows the store has followed it."""
    clock.advance(seconds)
    for follower in (bench.service.world.people, bench.service.world.tools, bench.service.peps):
        await follower.poll()


async def configure(bench: Bench, tmp_path: Path, more: str) -> None:
    """Put another configuration in force."""
    from pdp.policy.notice import Cause

    before = bench.service.world.policy.active.pack.revision
    config = tmp_path / "org" / "config.yaml"
    config.write_text(f"{config.read_text()}\n{more}\n")
    await bench.service.renewal.renew(Cause("api"))
    assert bench.service.world.policy.active.pack.revision != before


def reasons(told: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in told["reasons"]]


@pytest.mark.promise("approvals.once")
async def test_the_approved_call_runs_once_and_then_asks_again(bench: Bench) -> None:
    told = await bench.ask("create_refund", REFUND)
    ticket = told["approval"]
    assert (told["decision"], reasons(told), ticket["status"]) == ("needs_approval", ["gates.amount"], "open")
    assert ticket["poll"] == f"/v1/approvals/{ticket['id']}"
    await vote(bench, ticket["id"], "dave")
    assert (await bench.ask("create_refund", REFUND))["decision"] == "allow"
    again = await bench.ask("create_refund", REFUND)
    assert (again["decision"], again["approval"]["id"] != ticket["id"]) == ("needs_approval", True)


@pytest.mark.promise("approvals.bound")
@pytest.mark.parametrize(
    ("arguments", "decision"),
    [
        ({"amount": 6000, "order": "o-1"}, "allow"),
        ({"order": "o-1", "amount": 6000.0}, "allow"),
        ({"order": "o-1", "amount": 6001}, "needs_approval"),
        ({"order": "o-2", "amount": 6000}, "needs_approval"),
    ],
    ids=["other order", "other spelling", "other amount", "other order number"],
)
async def test_the_approval_is_for_this_call_however_it_is_written(arguments: Any, decision: str, bench: Bench) -> None:
    await vote(bench, await asked(bench), "dave")
    assert (await bench.ask("create_refund", arguments))["decision"] == decision


@pytest.mark.promise("record.masked")
async def test_a_masked_value_of_an_approved_call_cannot_be_found_by_trying_values(bench: Bench) -> None:
    known, _ = TOOLS["delete_customer"]
    ref = ToolRef("payments", "delete_customer", definition_digest(known))
    review = Review(risk_class="destructive", owner="payments", argument_labels={"/customer": ["personal"]})
    await approve(office(bench), ref, review, "tester")
    await bench.service.world.tools.poll()
    identifier = await asked(bench, "delete_customer", {"customer": "c-1"})
    await vote(bench, identifier, "dave")
    await vote(bench, identifier, "erin")
    assert (await bench.ask("delete_customer", {"customer": "c-1"}))["decision"] == "allow"
    found = action_digest(person="alice", agent=None, tool=ref, arguments={"customer": "c-1"})
    log = b"".join(path.read_bytes() for path in bench.service.world.log.directory.glob("*.jsonl"))
    assert b"approval.spent" in log
    assert found.encode() not in log
    async with reading(bench.service.world.store) as connection:
        request = await stored.read_request(connection, identifier)
    assert request is not None
    assert request["action_digest"] == found, "the value is guessed"
    assert found not in str(shown_to_a_person(request, [], None))
    assert presented_digest(request) == presented_digest({**request, "action_digest": "sha256:another"})


@pytest.mark.promise("approvals.bound")
async def test_the_approval_is_for_this_caller_alone(bench: Bench) -> None:
    await vote(bench, await asked(bench), "dave")
    token = bench.token(sub="00u1", act={"sub": "client-7"}, client_id="client-7")
    told = await bench.ask("create_refund", REFUND, token=token)
    assert told["decision"] != "allow"


@pytest.mark.promise("approvals.one_question")
async def test_the_same_call_while_people_think_finds_the_same_request(bench: Bench) -> None:
    assert await asked(bench) == await asked(bench)


@pytest.mark.promise("approvals.rules")
async def test_who_is_not_asked_has_no_vote(bench: Bench) -> None:
    identifier = await asked(bench)
    for person, code in (("frank", "approvals.not_eligible"), ("alice", "approvals.own_call")):
        with pytest.raises(Rejected) as refused:
            await vote(bench, identifier, person)
        assert refused.value.code == code


@pytest.mark.promise("approvals.rules")
async def test_what_cannot_be_undone_wants_two_people_in_two_stages(bench: Bench) -> None:
    customer = {"customer": "c-1"}
    identifier = await asked(bench, "delete_customer", customer)
    assert (await vote(bench, identifier, "dave"))["state"] == "open"
    assert (await bench.ask("delete_customer", customer))["decision"] == "needs_approval"
    assert (await vote(bench, identifier, "erin"))["state"] == "approved"
    assert (await bench.ask("delete_customer", customer))["decision"] == "allow"


@pytest.mark.promise("approvals.rechecked")
async def test_an_approver_who_lost_the_role_has_no_say_any_more(bench: Bench) -> None:
    await vote(bench, await asked(bench), "dave")
    people = [{"id": "dave"}, *APPROVERS["people"][1:]]
    await know(bench, {**APPROVERS, "people": people})
    assert (await bench.ask("create_refund", REFUND))["decision"] == "needs_approval"


@pytest.mark.promise("approvals.rechecked")
async def test_a_policy_that_denies_by_now_denies_whatever_was_approved(bench: Bench, tmp_path: Path) -> None:
    await vote(bench, await asked(bench), "dave")
    await configure(bench, tmp_path, "guards: {arguments_in_bounds: {labels: {money: {min: 0, max: 5500}}}}")
    told = await bench.ask("create_refund", REFUND)
    assert (told["decision"], reasons(told)) == ("deny", ["guards.arguments_in_bounds"])


@pytest.mark.promise("approvals.rechecked")
@pytest.mark.parametrize(
    "tightened",
    [
        "high_risk: {from: 0}",
        "stages: {write: [{id: peer, quorum: 2, roles: [approver], groups: [], rights: [], relations: []}]}",
        "stages: {write: [{id: peer, quorum: 1, roles: [security-approver], groups: [], rights: [], relations: []}]}",
    ],
    ids=["risk asks for one more stage", "quorum", "other roles"],
)
async def test_an_approval_that_is_not_enough_by_now_opens_nothing_until_enough_agree(
    tightened: str, bench: Bench, tmp_path: Path
) -> None:
    first = await asked(bench)
    await vote(bench, first, "dave")
    await configure(bench, tmp_path, f"approvals: {{{tightened}}}")
    second = await asked(bench)
    assert second != first
    for person in ("dave", "erin"):
        with suppress(Rejected):  # dave is not asked any more where the roles changed
            await vote(bench, second, person)
    assert (await bench.ask("create_refund", REFUND))["decision"] == "allow"


@pytest.mark.promise("approvals.rules")
async def test_two_stages_of_one_name_are_no_plan(bench: Bench, tmp_path: Path) -> None:
    peer = "{id: peer, quorum: 1, roles: [approver], groups: [], rights: [], relations: []}"
    await configure(bench, tmp_path, f"approvals: {{high_risk: {{from: 0, stage: {peer}}}}}")
    told = await bench.ask("create_refund", REFUND)
    assert (told["decision"], reasons(told)) == ("deny", ["engine.garbled"])


@pytest.mark.promise("approvals.floor")
async def test_an_approver_who_came_to_own_the_agent_has_no_say_any_more(bench: Bench) -> None:
    token = bench.token(sub="client-7", client_id="client-7")
    told = await bench.ask("create_refund", REFUND, token=token)
    assert told["decision"] == "needs_approval", told
    await vote(bench, told["approval"]["id"], "dave")
    bot, *others = FEED["agents"]
    await know(bench, {**FEED, "agents": [{**bot, "owners": ["alice", "dave"]}, *others]})
    told = await bench.ask("create_refund", REFUND, token=token)
    assert told["decision"] == "needs_approval", told


@pytest.mark.promise("approvals.rechecked")
async def test_a_tool_that_changed_since_is_asked_about_anew(bench: Bench) -> None:
    await vote(bench, await asked(bench), "dave")
    known, review = TOOLS["create_refund"]
    changed = {**known, "description": "Another text."}
    await submit(office(bench), "payments", [changed], "test")
    ref = ToolRef(server="payments", name="create_refund", definition_digest=definition_digest(changed))
    await approve(office(bench), ref, review, "tester")
    await bench.service.world.tools.poll()
    assert reasons(await bench.ask("create_refund", REFUND)) == ["tool.drifted"]
    query = bench.query("create_refund", REFUND)
    query["tool"]["definition_digest"] = ref.definition_digest
    told = (await bench.post("/v1/decisions", query)).json()
    assert told["decision"] == "needs_approval"


@pytest.mark.promise("approvals.time")
async def test_an_approval_lapses_and_a_request_expires(bench: Bench, clock: FakeClock) -> None:
    identifier = await asked(bench)
    await vote(bench, identifier, "dave")
    await later_on(bench, clock, 301)
    later = await asked(bench)
    assert later != identifier
    await later_on(bench, clock, 901)
    assert await asked(bench) != later


@pytest.mark.promise("approvals.not_worn_out")
async def test_after_a_no_the_same_call_is_denied_with_its_reason_and_nobody_is_asked(
    bench: Bench, clock: FakeClock
) -> None:
    identifier = await asked(bench)
    assert (await vote(bench, identifier, "dave", "deny"))["state"] == "denied"
    told = await bench.ask("create_refund", REFUND)
    assert (told["decision"], reasons(told)) == ("deny", ["approvals.denied"])
    assert told["reasons"][0]["remedy"] == "They say: because"
    assert (await bench.ask("create_refund", REFUND | {"amount": 7000}))["decision"] == "needs_approval"
    await later_on(bench, clock, 600)
    assert await asked(bench) != identifier


@pytest.mark.promise("approvals.not_worn_out")
async def test_one_caller_has_only_so_many_questions_open(bench: Bench) -> None:
    for number in range(requests.MOST_OPEN):
        await asked(bench, arguments=REFUND | {"order": f"o-{number}"})
    told = await bench.ask("create_refund", REFUND | {"order": "o-more"})
    assert (told["decision"], reasons(told)) == ("deny", ["approvals.too_many"])
    assert (await bench.ask("create_refund", REFUND | {"order": "o-0"}))["decision"] == "needs_approval"


@pytest.mark.promise("approvals.recorded")
async def test_the_record_names_the_request_and_the_approval_that_was_used(bench: Bench) -> None:
    identifier = await asked(bench)
    await vote(bench, identifier, "dave")
    told = await bench.ask("create_refund", REFUND)
    await bench.service.projected()
    entry = (
        await bench.http.get(f"/v1/decisions/{told['id']}", headers={"Authorization": f"Bearer {bench.key}"})
    ).json()
    body = entry["entry"]["body"]
    assert body["approval"] == identifier
    assert body["input"]["approval"]["approvers"] == ["dave"]


@pytest.mark.promise("approvals.once")
async def test_a_restart_between_asking_and_agreeing_loses_nothing(tmp_path: Path, clock: FakeClock) -> None:
    org = calm(tmp_path / "org")
    async with running(tmp_path / "pdp", clock, org_dir=org) as before:
        await know(before, APPROVERS)
        identifier = await asked(before)
    async with running(tmp_path / "pdp", clock, org_dir=org) as bench:
        assert await asked(bench) == identifier
        await vote(bench, identifier, "dave")
    async with running(tmp_path / "pdp", clock, org_dir=org) as after:
        assert (await after.ask("create_refund", REFUND))["decision"] == "allow"
        assert (await after.ask("create_refund", REFUND))["decision"] == "needs_approval"
