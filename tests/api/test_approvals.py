"""Approvals over HTTP: people see, vote and take back with a token of their own; adapters watch."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.api.approvals import ONE_PERSON_WAITS
from pdp.approvals.desk import MAX_LISTED
from pdp.store import approvals as stored
from pdp.store.sql import transaction
from tests.conftest import FakeClock
from tests.flow.people import alias
from tests.flow.test_approvals import REFUND, asked, know
from tests.idp import AUDIENCE as MCP_AUDIENCE
from tests.idp import ISSUER
from tests.service import Bench, calm, running

AUDIENCE = "https://pdp.test/approvals"
PEOPLE: dict[str, Any] = {
    "source": "approvers",
    "people": [
        {"id": "dave", "roles": ["approver"], "aliases": alias("00u7")},
        {"id": "erin", "roles": ["approver", "security-approver"], "aliases": alias("00u8")},
        {"id": "frank", "aliases": alias("00u9")},
    ],
    "roles": [{"id": "approver"}, {"id": "security-approver"}],
    "servers": [{"id": "pdp.approvals", "audiences": {ISSUER: [AUDIENCE]}}],
}
SUBJECTS = {"alice": "00u1", "dave": "00u7", "erin": "00u8", "frank": "00u9"}


@pytest.fixture
async def pdp(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Bench]:
    async with running(tmp_path / "pdp", clock, org_dir=calm(tmp_path / "org")) as bench:
        await know(bench, PEOPLE)
        yield bench


def signed_in(pdp: Bench, person: str, **claims: Any) -> dict[str, str]:
    """Return the headers of a person who signed in for the approvals desk."""
    token = pdp.token(sub=SUBJECTS[person], aud=AUDIENCE, **claims)
    return {"Authorization": f"Bearer {token}"}


async def see(pdp: Bench, identifier: str, person: str = "dave", **query: Any) -> httpx.Response:
    return await pdp.http.get(f"/v1/approvals/{identifier}", headers=signed_in(pdp, person), params=query)


async def vote(pdp: Bench, identifier: str, person: str, **changes: Any) -> httpx.Response:
    """Look at a request and vote on it, as a page does."""
    shown = (await see(pdp, identifier, "erin")).json()
    body = {"vote": "approve", "presented_digest": shown["presented_digest"], "reason": "ok", **changes}
    return await pdp.http.post(f"/v1/approvals/{identifier}/votes", headers=signed_in(pdp, person), json=body)


@pytest.mark.promise("approvals.api")
async def test_a_person_sees_the_exact_call_and_why_it_asks(pdp: Bench) -> None:
    shown = (await see(pdp, await asked(pdp))).json()
    assert shown["shown"]["arguments"] == REFUND
    assert (shown["person"], shown["server"], shown["tool"]) == ("alice", "payments", "create_refund")
    assert [reason["code"] for reason in shown["shown"]["reasons"]] == shown["gates"] == ["gates.amount"]
    assert shown["status"]["status"] == "open"
    assert shown["stages"][0]["quorum"] == 1
    assert shown["shown"]["tool"]["risk_class"] == "write"
    assert "evidence" in shown["shown"]["risk"]


@pytest.mark.promise("approvals.api")
async def test_a_vote_lets_the_call_through_and_the_adapter_sees_it_come(pdp: Bench) -> None:
    identifier = await asked(pdp)
    key = {"Authorization": f"Bearer {pdp.key}"}
    waiting = asyncio.create_task(pdp.http.get(f"/v1/approvals/{identifier}", headers=key, params={"wait": 20}))
    done = await vote(pdp, identifier, "dave")
    assert (done.status_code, done.json()["status"]["status"]) == (200, "approved")
    told = (await asyncio.wait_for(waiting, 10)).json()
    assert (told["status"], told["approval"], told["uses_left"]) == ("approved", "active", 1)
    assert "shown" not in told
    assert (await pdp.ask("create_refund", REFUND))["decision"] == "allow"
    spent = (await pdp.http.get(f"/v1/approvals/{identifier}", headers=key)).json()
    assert (spent["approval"], spent["uses_left"]) == ("spent", 0)


@pytest.mark.promise("approvals.api")
async def test_one_person_holds_few_waits_and_is_answered_at_once_beyond_them(pdp: Bench) -> None:
    identifier = await asked(pdp)
    waits = [asyncio.create_task(see(pdp, identifier, "dave", wait=20)) for _ in range(ONE_PERSON_WAITS + 3)]
    answered = [await first for first in islice(asyncio.as_completed(waits, timeout=10), 3)]
    assert {answer.json()["status"]["status"] for answer in answered} == {"open"}
    waiting = [task for task in waits if not task.done()]
    assert len(waiting) == ONE_PERSON_WAITS
    await vote(pdp, identifier, "erin")
    assert {(await task).json()["status"]["status"] for task in waiting} == {"approved"}


@pytest.mark.promise("approvals.api")
async def test_a_no_carries_its_reason_to_whoever_waits(pdp: Bench) -> None:
    identifier = await asked(pdp)
    await vote(pdp, identifier, "dave", vote="deny", reason="Ask for the invoice first.")
    key = {"Authorization": f"Bearer {pdp.key}"}
    told = (await pdp.http.get(f"/v1/approvals/{identifier}", headers=key)).json()
    assert (told["status"], told["feedback"]) == ("denied", "Ask for the invoice first.")


@pytest.mark.promise("approvals.api")
async def test_the_same_vote_again_changes_nothing(pdp: Bench) -> None:
    identifier = await asked(pdp)
    first, again = await vote(pdp, identifier, "dave"), await vote(pdp, identifier, "dave")
    assert (first.status_code, again.status_code) == (200, 200)
    assert len(again.json()["votes"]) == 1


@pytest.mark.promise("approvals.floor")
@pytest.mark.parametrize(
    ("person", "claims", "status", "code"),
    [
        ("alice", {}, 403, "approvals.own_call"),
        ("frank", {}, 404, "approvals.unknown"),
        ("dave", {"aud": "https://payments.example"}, 401, "identity.audience"),
        ("dave", {"aud": [AUDIENCE, MCP_AUDIENCE]}, 401, "approvals.token_shared"),
        ("dave", {"client_id": "client-7"}, 401, "identity.delegation_missing"),
        ("dave", {"exp": 1}, 401, "identity.expired"),
    ],
)
async def test_a_vote_that_may_not_be_cast_is_refused_with_its_reason(
    person: str, claims: dict[str, Any], status: int, code: str, pdp: Bench
) -> None:
    identifier = await asked(pdp)
    shown = (await see(pdp, identifier, "erin")).json()
    body = {"vote": "approve", "presented_digest": shown["presented_digest"]}
    token = pdp.token(**{"sub": SUBJECTS[person], "aud": AUDIENCE, **claims})
    refused = await pdp.http.post(
        f"/v1/approvals/{identifier}/votes", headers={"Authorization": f"Bearer {token}"}, json=body
    )
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (await see(pdp, identifier, "erin")).json()["votes"] == []


@pytest.mark.promise("approvals.floor")
async def test_a_token_that_an_mcp_server_takes_too_opens_nothing_here(pdp: Bench) -> None:
    where = f"/v1/approvals/{await asked(pdp)}"
    also_userinfo = {"Authorization": f"Bearer {pdp.token(sub='00u7', aud=[AUDIENCE, 'https://sso.example/userinfo'])}"}
    assert (await pdp.http.get(where, headers=also_userinfo)).status_code == 200
    servers = [{"id": "careless", "audiences": {ISSUER: [AUDIENCE]}}]
    await know(pdp, {"source": "careless", "servers": servers})
    refused = await pdp.http.get(where, headers=signed_in(pdp, "dave"))
    assert (refused.status_code, refused.json()["code"]) == (401, "approvals.token_shared")


@pytest.mark.promise("approvals.floor")
async def test_nobody_votes_with_the_key_of_an_adapter(pdp: Bench) -> None:
    identifier = await asked(pdp)
    refused = await pdp.post(f"/v1/approvals/{identifier}/votes", {"vote": "approve", "presented_digest": "x"})
    assert refused.status_code == 401


@pytest.mark.promise("approvals.api")
async def test_a_vote_on_what_was_not_shown_is_refused(pdp: Bench) -> None:
    refused = await vote(pdp, await asked(pdp), "dave", presented_digest="sha256:another")
    assert (refused.status_code, refused.json()["code"]) == (409, "approvals.changed")


@pytest.mark.promise("approvals.rules")
async def test_where_policy_wants_a_reason_a_vote_without_one_is_refused(pdp: Bench) -> None:
    identifier = await asked(pdp, "delete_customer", {"customer": "c-1"})
    refused = await vote(pdp, identifier, "dave", reason=" ")
    assert (refused.status_code, refused.json()["code"]) == (400, "approvals.reason")


@pytest.mark.promise("approvals.api")
async def test_the_inbox_lists_what_others_ask_for(pdp: Bench) -> None:
    identifier = await asked(pdp)
    for person, listed in (("dave", [identifier]), ("alice", [])):
        inbox = (await pdp.http.get("/v1/approvals", headers=signed_in(pdp, person))).json()
        assert [shown["status"]["id"] for shown in inbox["approvals"]] == listed


@pytest.mark.promise("approvals.seen")
async def test_whom_a_request_does_not_concern_learns_nothing_of_it(pdp: Bench) -> None:
    identifier = await asked(pdp)
    inbox = await pdp.http.get("/v1/approvals", headers=signed_in(pdp, "frank"))
    assert inbox.json()["approvals"] == []
    for refused in (await see(pdp, identifier, "frank"), await see(pdp, identifier, "frank", wait=20)):
        assert (refused.status_code, refused.json()["code"]) == (404, "approvals.unknown")
    assert (await see(pdp, identifier, "alice")).json()["shown"]["arguments"] == REFUND


@pytest.mark.promise("approvals.seen")
async def test_what_waits_for_others_hides_nothing_however_much_there_is_of_it(pdp: Bench) -> None:
    identifier = await asked(pdp)
    async with transaction(pdp.service.world.store) as connection:
        row = await stored.read_request(connection, identifier)
        assert row is not None
        plan = {**row["plan"], "stages": [{**row["plan"]["stages"][0], "roles": ["nobody"], "relations": []}]}
        given = {
            name: row[name] for name in row if name not in {"state", "version", "opened_at", "expires_at", "decided_at"}
        }
        for number in range(MAX_LISTED + 5):
            theirs = {
                **given,
                "id": f"apr_{number}",
                "action_digest": f"sha256:{number}",
                "person": "olga",
                "plan": plan,
            }
            assert await stored.open_request(connection, theirs, within_s=60) is not None
    inbox = (await pdp.http.get("/v1/approvals", headers=signed_in(pdp, "dave"))).json()
    assert [shown["status"]["id"] for shown in inbox["approvals"]] == [identifier]


@pytest.mark.promise("approvals.seen")
async def test_who_voted_sees_the_request_also_without_the_role_and_who_did_not_no_longer(pdp: Bench) -> None:
    identifier = await asked(pdp)
    await vote(pdp, identifier, "dave", vote="deny", reason="no")
    await know(pdp, {**PEOPLE, "people": [{**person, "roles": []} for person in PEOPLE["people"]]})
    assert (await see(pdp, identifier, "dave")).json()["status"]["status"] == "denied"
    assert (await see(pdp, identifier, "erin")).status_code == 404


@pytest.mark.promise("approvals.api")
async def test_whom_it_concerns_takes_it_back_and_nobody_else(pdp: Bench) -> None:
    identifier = await asked(pdp)
    path = f"/v1/approvals/{identifier}/cancel"
    for person, answer in (("erin", (403, "approvals.not_concerned")), ("frank", (404, "approvals.unknown"))):
        refused = await pdp.http.post(path, headers=signed_in(pdp, person), json={})
        assert (refused.status_code, refused.json()["code"]) == answer
    done = await pdp.http.post(path, headers=signed_in(pdp, "alice"), json={"reason": "not needed"})
    assert (done.status_code, done.json()["status"]) == (200, "cancelled")


@pytest.mark.promise("approvals.api")
async def test_an_approval_is_revoked_by_who_gave_it(pdp: Bench) -> None:
    identifier = await asked(pdp)
    await vote(pdp, identifier, "dave")
    path = f"/v1/approvals/{identifier}/revoke"
    done = await pdp.http.post(path, headers=signed_in(pdp, "dave"), json={"reason": "a mistake"})
    assert (done.status_code, done.json()["approval"]) == (200, "revoked")
    assert (await pdp.ask("create_refund", REFUND))["decision"] == "needs_approval"


@pytest.mark.promise("approvals.api")
async def test_an_adapter_of_another_server_learns_nothing(pdp: Bench) -> None:
    from tests.service import add_pep

    identifier = await asked(pdp)
    other = await add_pep(pdp.settings, pdp.clock, servers=("crm",))
    await pdp.service.peps.poll()
    refused = await pdp.http.get(f"/v1/approvals/{identifier}", headers={"Authorization": f"Bearer {other}"})
    assert (refused.status_code, refused.json()["code"]) == (404, "approvals.unknown")
    unknown = await pdp.http.get("/v1/approvals/apr_0", headers={"Authorization": f"Bearer {pdp.key}"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "approvals.unknown")


@pytest.mark.promise("approvals.api")
@pytest.mark.parametrize(("step", "person"), [("votes", "dave"), ("cancel", "alice"), ("revoke", "dave")])
async def test_the_same_idempotency_key_gets_the_same_answer_and_another_body_or_path_a_conflict(
    step: str, person: str, pdp: Bench
) -> None:
    identifier = await asked(pdp)
    body = {"reason": "because"}
    if step == "votes":
        digest = (await see(pdp, identifier, "erin")).json()["presented_digest"]
        body |= {"vote": "approve", "presented_digest": digest}
    if step == "revoke":
        await vote(pdp, identifier, "dave")
    headers = {**signed_in(pdp, person), "Idempotency-Key": "k-1"}
    path = f"/v1/approvals/{identifier}/{step}"
    first = await pdp.http.post(path, headers=headers, json=body)
    again = await pdp.http.post(path, headers=headers, json=body)
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    other_path = f"/v1/approvals/{identifier}/{'revoke' if step == 'cancel' else 'cancel'}"
    for where, sent in ((path, body | {"reason": "another"}), (other_path, {"reason": "because"})):
        refused = await pdp.http.post(where, headers=headers, json=sent)
        assert refused.status_code in ({409} if where == path else {403, 409})  # not theirs, or another request
    fresh = await pdp.http.post(path, headers={**headers, "Idempotency-Key": "k-2"}, json=body)
    assert fresh.status_code == (200 if step == "votes" else 409)


@pytest.mark.promise("approvals.api")
async def test_nobody_gets_the_answer_to_the_idempotency_key_of_another(pdp: Bench) -> None:
    identifier = await asked(pdp)
    path = f"/v1/approvals/{identifier}/cancel"
    done = await pdp.http.post(path, headers={**signed_in(pdp, "alice"), "Idempotency-Key": "k"}, json={})
    refused = await pdp.http.post(path, headers={**signed_in(pdp, "frank"), "Idempotency-Key": "k"}, json={})
    assert (done.status_code, refused.status_code) == (200, 404)
