"""Holding a call: bounded whatever its client and its PDP do, and never a reason to run."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from pdp.adapters import replies
from pdp.adapters.client import Client as PdpClient
from pdp.adapters.pending import MAX_HELD_CALLS, MAX_REMEMBERED, SIGN_S, Pending
from pdp.adapters.replies import DID_NOT_RUN
from pdp.answer import Answer, ApprovalTicket, Reason, Revisions
from pdp.query import Credential, Query, ToolRef
from tests.adapters.stage import Ran, payments, protected, scripted_pdp, text_of
from tests.adapters.test_pdp_away import answer, http

pytestmark = pytest.mark.promise("adapter.waits")

DOCS = Path(__file__).parent.parent.parent / "docs" / "approvals-in-your-server.md"
HOLD_S = 0.3
TICKET = {"id": "apr_1", "status": "open", "expires_at": "2026-01-01T00:15:00Z", "poll": "/v1/approvals/apr_1"}
WAITS = answer(decision="needs_approval", approval=TICKET)
OPEN = {"id": "apr_1", "status": "open", "opened_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T00:15:00Z"}


def standing(**changes: Any) -> bytes:
    """Return how a request stands, as a PDP says it."""
    return http(json.dumps({**OPEN, **changes}).encode())


async def writing(writer: asyncio.StreamWriter) -> None:
    """Say at once that a request is open, however long it was to be waited for."""
    writer.write(standing())


async def test_a_pdp_that_does_not_wait_is_not_asked_in_a_loop() -> None:
    asked: list[bytes] = []
    async with scripted_pdp(writing, asked) as pdp:
        client = PdpClient(pdp.url, pdp.key)
        told = await Pending(client).hold("apr_1", HOLD_S)
        await client.close()
    assert told
    assert told.status == "open"
    assert len(asked) <= 3


async def test_a_client_that_does_not_read_is_not_waited_for() -> None:
    async def stuck(_held_s: float) -> None:
        await asyncio.Event().wait()

    async with scripted_pdp(writing) as pdp:
        client = PdpClient(pdp.url, pdp.key)
        began = time.perf_counter()
        told = await Pending(client).hold("apr_1", HOLD_S, stuck)
        await client.close()
    assert told
    assert told.status == "open"
    assert time.perf_counter() - began < 4 * SIGN_S


async def test_looks_at_requests_leave_the_connections_for_decisions_free() -> None:
    asked, all_wait, over = list[bytes](), asyncio.Event(), asyncio.Event()

    async def write(writer: asyncio.StreamWriter) -> None:
        if asked[-1]:
            writer.write(answer())
            return
        if len(asked) == MAX_HELD_CALLS:
            all_wait.set()
        await over.wait()  # nobody decides
        writer.write(standing())

    async with scripted_pdp(write, asked) as pdp:
        client = PdpClient(pdp.url, pdp.key, deadline_s=2.0)
        looks = [asyncio.create_task(client.standing("apr_1", 60.0)) for _ in range(MAX_HELD_CALLS)]
        await asyncio.wait_for(all_wait.wait(), 20)
        decided = await client.decide(Query(Credential(access_token="t"), ToolRef("s", "t"), {}))
        over.set()
        assert {look.status for look in await asyncio.gather(*looks)} == {"open"}
        await client.close()
    assert decided.decision == "allow"


async def test_what_is_remembered_of_requests_is_bounded() -> None:
    pending = Pending(PdpClient("http://127.0.0.1:9", "k"))
    assert not pending.told_before("apr_0")
    assert pending.told_before("apr_0")
    assert not any(pending.told_before(f"apr_{number}") for number in range(1, MAX_REMEMBERED + 1))
    assert not pending.told_before("apr_0")


@pytest.mark.parametrize(
    ("said", "asks_again"),
    [
        (standing(status="granted"), True),
        (standing(status=True), True),
        (http(b"{}"), True),
        (http(b"approved"), True),
        (http(b'{"code": "fault"}', "500 Internal Server Error"), True),
        (http(b'{"code": "access.rate"}', "429 Too Many Requests"), True),
        (standing(status="approved", approval="active"), True),
        (standing(status="denied"), True),
        (standing(status="approved", approval="spent"), False),
        (standing(status="approved"), False),
        (standing(status="expired"), False),
        (standing(status="cancelled"), False),
        (standing(status="superseded"), False),
    ],
)
async def test_whatever_is_said_of_a_request_the_tool_runs_on_an_allow_alone(
    said: bytes, asks_again: bool, tmp_path: Path
) -> None:
    replies, asked = [WAITS, WAITS, said, WAITS], list[bytes]()

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(replies.pop(0))

    async with scripted_pdp(write, asked) as pdp:
        ran: Ran = []
        server = payments(ran)
        protected(server, pdp, tmp_path)
        async with Client(server) as client:
            for _ in range(2):  # a call made again is held
                told = await client.call_tool("get_order", {"order": "o-1"})
    assert ran == []
    assert told.is_error
    assert DID_NOT_RUN in text_of(told)
    assert len(asked) == (4 if asks_again else 3)


async def test_what_the_docs_say_a_model_reads_is_what_it_reads() -> None:
    page = "https://pdp.example/console/approvals/apr_1"
    told = replies.pending(
        Answer(
            id="dec_1",
            decision="needs_approval",
            reasons=[Reason("gates.amount", "A large amount needs a human's yes", "Call with a smaller amount.")],
            revisions=Revisions(),
            evaluated_at="2026-01-01T00:00:00.000Z",
            elapsed_ms=1.0,
            approval=ApprovalTicket("apr_1", "open", "2026-01-01T00:15:00.000Z", "/v1/approvals/apr_1", page),
        )
    )
    assert f"```text\n{told['content'][0]['text']}\n```" in DOCS.read_text()
