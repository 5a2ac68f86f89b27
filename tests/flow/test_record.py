"""Record: what the log holds of a decision, what it must never hold, and when nobody may be told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pdp.answer import Risk
from pdp.audit.entry import digest_of
from pdp.audit.mask import Masker
from pdp.audit.read import Reader, find_entry
from pdp.audit.shard import segments
from pdp.decide import CallerInput, CallFacts, PolicyInput, Verdict, clock_input, refused
from pdp.enrich import Facts, PersonFacts
from pdp.errors import Refused, Unrecorded
from pdp.flow import Case
from pdp.identify import Basis, Caller, Client, Session, Token
from pdp.ids import new_id
from pdp.policy.live import Active
from pdp.query import Assertion, Credential, Dpop, Query, ToolRef, action_digest
from pdp.record import record
from pdp.registry.labels import Review
from pdp.registry.parsed import Parsed
from pdp.times import rfc3339
from tests.conftest import START, FakeClock
from tests.page_cache import unwritten_pages
from tests.rooms import REFUND, Rooms, open_rooms, query

CARD = {"number": "4111111111111111", "holder": "Alice Example"}
ARGUMENTS = {"order": "o-1", "amount": 5000, "card": CARD}
CONTEXT = {
    "request_id": "7",
    "intent": {"prompt": "Refund order o-1 to card 4111111111111111 please", "model": "m-1"},
}
ALLOW = Verdict(effect="allow", reasons=[], permits=["permits.person_entitled"], revision="sha256:pack")
RISK = Risk(score=12.0, level="low", evidence=[], coverage={})
TOKEN = query(ToolRef("s", "t")).caller.access_token or ""


@pytest.fixture
async def rooms(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Rooms]:
    async with open_rooms(tmp_path, clock) as opened:
        yield opened


def caller(verified_by: str = "pdp") -> Caller:
    return Caller(
        verified_by=verified_by,
        mode="user_delegated",
        client=Client("client-7"),
        session=Session("s-1", 60),
        token=Token("https://idp.example", ["refunds"]),
        basis=Basis(START, "act", auth_time_known=True, session_named=True, keys_stale=False, chain=()),
        person="alice",
        agent="helpdesk-bot",
    )


def case_of(asked: Query) -> Case:
    deadline = asyncio.get_running_loop().time() + 5
    return Case(
        id=new_id("dec", START),
        query=asked,
        pep="pep_1",
        request_id="req-1",
        received_at=START,
        deadline=deadline,
        started=time.perf_counter(),
        policy=cast("Active", object()),  # it has spoken already
    )


def apart(value: Any) -> Parsed:
    """Return an argument as if it carried the label `path`."""
    return Parsed(kind="path", path=str(value), segments=[str(value)])


async def decided(rooms: Rooms, arguments: dict[str, Any], context: dict[str, Any]) -> Case:
    """Return a case as it stands after the policy was asked about an approved tool."""
    ref = await rooms.approved(REFUND)
    case = case_of(query(ref, arguments, context))
    tool = rooms.tools.find(ref.server, ref.name).tool
    assert tool is not None
    person = PersonFacts(id="alice", roles=[], groups=[], entitlements=[])
    case.caller, case.tool, case.identity, case.registry = caller(), tool, 42, rooms.tools.revision
    case.facts = Facts(risk=RISK, first_use=False, person=person)
    case.input = PolicyInput(
        caller=CallerInput(
            "pdp", "user_delegated", Client("client-7"), Session("s-1", 60), Token("i", []), person=person
        ),
        tool=tool,
        arguments=arguments,
        parsed={f"/{name}": apart(value) for name, value in arguments.items() if name != "amount"},
        risk=RISK,
        facts=CallFacts(first_use=False),
        context=context,
        now=rfc3339(START),
        clock=clock_input(START, ZoneInfo("UTC")),
    )
    return case


def body_of(rooms: Rooms) -> dict[str, Any]:
    body: dict[str, Any] = rooms.entries("decision")[-1].body
    return body


def log_bytes(rooms: Rooms) -> bytes:
    return b"\n".join(Reader(rooms.log.directory).lines())


@pytest.mark.promise("record.replay")
async def test_a_record_holds_what_the_policy_was_asked_and_on_what_it_stood(rooms: Rooms) -> None:
    case = await decided(rooms, {"order": "o-1", "amount": 5000}, CONTEXT)
    await record(case, ALLOW, rooms.world)
    body = body_of(rooms)
    assert body["input"] == json.loads(msgspec.json.encode(case.input))
    assert body["revisions"] == {"policy": "sha256:pack", "identity": 42, "registry": rooms.tools.revision}
    assert (body["id"], body["pep"], body["request_id"], body["decision"]) == (case.id, "pep_1", "req-1", "allow")
    assert body["permits"] == ["permits.person_entitled"]
    assert body["tool"]["definition_digest"] == case.query.tool.definition_digest
    assert body["latency_us"] >= 0
    assert "masked" not in body
    expected = action_digest(person="alice", agent="helpdesk-bot", tool=case.query.tool, arguments=case.query.arguments)
    assert body["action_digest"] == expected
    assert body["caller"] == {
        "verified_by": "pdp",
        "mode": "user_delegated",
        "client": "client-7",
        "session": "s-1",
        "person": "alice",
        "agent": "helpdesk-bot",
    }


@pytest.mark.promise("record.receipt")
async def test_a_receipt_names_the_line_that_is_in_the_log(rooms: Rooms) -> None:
    case = await decided(rooms, {"order": "o-1"}, {})
    receipt = await record(case, ALLOW, rooms.world)
    line = list(Reader(rooms.log.directory).lines())[receipt.index]
    assert receipt.entry_digest == digest_of(line)
    found = find_entry(rooms.log.directory.parent.parent, case.id)
    assert found is not None
    assert (found.origin, found.index) == (receipt.origin, receipt.index)


@pytest.mark.promise("record.masked")
async def test_a_labelled_value_is_masked_wherever_it_appears(rooms: Rooms) -> None:
    case = await decided(rooms, ARGUMENTS | {"note": "card 4111111111111111 of Alice Example"}, CONTEXT)
    await record(case, ALLOW, rooms.world)
    raw = log_bytes(rooms)
    assert b"4111111111111111" not in raw
    assert b"Alice Example" not in raw
    body = body_of(rooms)
    assert body["input"]["arguments"]["amount"] == 5000
    assert body["input"]["arguments"]["card"] == rooms.masker.commit(CARD)
    assert body["input"]["parsed"]["/card"] == rooms.masker.commit(msgspec.to_builtins(apart(CARD)))
    assert body["input"]["parsed"]["/order"]["path"] == "o-1"
    assert body["input"]["arguments"]["note"] == "card [masked] of [masked]"
    assert body["input"]["context"]["intent"]["prompt"] == "Refund order o-1 to card [masked] please"
    assert body["masked"] == [
        "/arguments/card",
        "/arguments/note",
        "/context/intent/prompt",
        "/parsed/~1card",
        "/parsed/~1note/path",
        "/parsed/~1note/segments/0",
    ]


@pytest.mark.promise("record.masked")
async def test_the_query_itself_is_not_touched_by_masking(rooms: Rooms) -> None:
    arguments, context = json.loads(json.dumps(ARGUMENTS)), json.loads(json.dumps(CONTEXT))
    case = await decided(rooms, arguments, context)
    await record(case, ALLOW, rooms.world)
    assert (case.query.arguments, case.query.context) == (ARGUMENTS, CONTEXT)
    assert case.input is not None
    assert case.input.arguments == ARGUMENTS


@pytest.mark.promise("record.masked")
async def test_the_digest_of_a_masked_call_cannot_be_found_by_trying_values(rooms: Rooms) -> None:
    case = await decided(rooms, ARGUMENTS, {})
    await record(case, ALLOW, rooms.world)
    plain = action_digest(person="alice", agent="helpdesk-bot", tool=case.query.tool, arguments=ARGUMENTS)
    assert plain.encode() not in log_bytes(rooms)
    assert body_of(rooms)["action_digest"] == rooms.masker.seal(plain.encode())


@pytest.mark.promise("record.masked")
async def test_a_call_whose_tool_is_not_in_good_standing_keeps_no_value(rooms: Rooms) -> None:
    asked = query(ToolRef("s", "unknown"), {"password": "hunter22", "list": ["deep-secret"]}, {"note": "is hunter22"})
    case = case_of(asked)
    case.caller = caller()
    await record(case, refused(Refused("tool.unknown")), rooms.world)
    raw = log_bytes(rooms)
    assert b"hunter22" not in raw
    assert b"deep-secret" not in raw
    body = body_of(rooms)
    assert body["input"]["arguments"].keys() == {"password", "list"}
    assert body["reasons"][0]["code"] == "tool.unknown"
    assert body["masked"] == ["/arguments/list", "/arguments/password", "/context/note"]


@pytest.mark.promise("record.credentials")
async def test_the_access_token_and_its_proof_are_in_no_record_whoever_put_them_there(rooms: Rooms) -> None:
    proof = "eyJ0eXAiOiJkcG9wK2p3dCJ9.eyJodG0iOiJQT1NUIn0.cHJvb2Y"
    asked = Query(
        Credential(access_token=TOKEN, dpop=Dpop(proof, "POST", "https://mcp.example/mcp")),
        ToolRef("s", TOKEN[:40], TOKEN, TOKEN),
        {"note": f"Bearer {TOKEN}", "nested": [{TOKEN: proof}]},
        {"headers": {"authorization": f"Bearer {TOKEN}"}, TOKEN: 1},
        approval=TOKEN,
    )
    case = case_of(asked)
    case.request_id = TOKEN
    await record(case, refused(Refused("identity.claims", f"bad token {TOKEN}")), rooms.world)
    raw = log_bytes(rooms)
    assert TOKEN.encode() not in raw
    assert proof.encode() not in raw
    body = body_of(rooms)
    assert len(body["token_sha256"]) == 16
    assert body["note"] == "bad token [masked]"
    assert "caller" not in body
    assert "action_digest" not in body


@pytest.mark.promise("record.credentials")
async def test_a_caller_that_an_adapter_vouched_for_is_marked(rooms: Rooms) -> None:
    asked = Query(Credential(asserted=Assertion(person="alice")), ToolRef("s", "t"))
    case = case_of(asked)
    case.caller = caller(verified_by="pep:pep_1")
    await record(case, refused(Refused("tool.unknown")), rooms.world)
    assert body_of(rooms)["caller"]["asserted"] is True
    assert "token_sha256" not in body_of(rooms)


@pytest.mark.promise("record.prompt")
@pytest.mark.parametrize("rule", ["full", "commitment", "none"])
async def test_the_prompt_is_recorded_as_the_setting_says(tmp_path: Path, clock: FakeClock, rule: Any) -> None:
    async with open_rooms(tmp_path, clock, prompt=rule) as rooms:
        context = {"intent": {"prompt": "please refund", "turn": "3"}}
        case = await decided(rooms, {"order": "o-1"}, context)
        await record(case, ALLOW, rooms.world)
        intent = body_of(rooms)["input"]["context"]["intent"]
        assert intent["turn"] == "3"
        if rule == "full":
            assert intent["prompt"] == "please refund"
            return
        assert b"please refund" not in log_bytes(rooms)
        assert intent.get("prompt") == (rooms.masker.commit("please refund") if rule == "commitment" else None)
        assert body_of(rooms)["masked"] == ["/context/intent/prompt"]


@pytest.mark.promise("record.prompt")
@pytest.mark.parametrize("intent", ["text", ["prompt"], None, 7, {"prompt": {"deep": 1}}])
async def test_an_intent_of_any_shape_is_recorded(rooms: Rooms, intent: Any) -> None:
    case = await decided(rooms, {"order": "o-1"}, {"intent": intent})
    await record(case, ALLOW, rooms.world)
    assert body_of(rooms)["input"]["context"] == {"intent": intent}


@pytest.mark.promise("record.unrecorded")
async def test_when_the_log_does_not_take_it_nobody_may_be_told(rooms: Rooms) -> None:
    case = await decided(rooms, {"order": "o-1"}, {})
    await rooms.log.close()
    with pytest.raises(Unrecorded):
        await record(case, ALLOW, rooms.world)


@pytest.mark.promise("record.durable")
@pytest.mark.parametrize(
    ("risk_class", "waits"),
    [("read", False), ("write", True), ("external", True), ("destructive", True), ("privileged", True), (None, True)],
)
async def test_only_reads_do_not_wait_for_the_disk(rooms: Rooms, risk_class: Any, waits: bool) -> None:
    """None stands for a tool nobody knows: it counts as privileged."""
    case = case_of(query(ToolRef("payments", "create_refund")))
    if risk_class is not None:
        await rooms.approved(REFUND, Review(risk_class=risk_class, owner="team"))
        case.tool = rooms.tools.find("payments", "create_refund").tool
    await record(case, ALLOW, rooms.world)
    (segment,) = segments(rooms.log.directory)
    assert (unwritten_pages(segment) == 0) is waits


@pytest.mark.promise("record.masked")
async def test_numbers_that_python_alone_can_hold_are_recorded(rooms: Rooms) -> None:
    case = await decided(rooms, {"order": "o-1", "amount": 10**40}, {"n": 2**64})
    await record(case, ALLOW, rooms.world)
    assert body_of(rooms)["input"]["arguments"]["amount"] == 10**40
    assert body_of(rooms)["input"]["context"]["n"] == 2**64


@pytest.mark.promise("record.masked")
def test_a_commitment_is_keyed_so_that_another_key_says_something_else(tmp_path: Path) -> None:
    one, other = Masker(tmp_path / "a" / "mask.key"), Masker(tmp_path / "b" / "mask.key")
    again = Masker(tmp_path / "a" / "mask.key")
    assert one.commit({"a": 1.0}) == again.commit({"a": 1}) != other.commit({"a": 1})
