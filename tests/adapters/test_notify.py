"""Notify: those whom the policy names are told before the call is made, or it is not made."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.types import CallToolResult

from pdp.adapters.notify import Notice, Notify, log_notice, tell
from pdp.adapters.replies import DID_NOT_RUN
from pdp.adapters.sdk import protect
from pdp.dev.seed import SERVER
from pdp.errors import Refused
from tests.adapters.stage import Ran, payments, scripted_pdp, text_of
from tests.adapters.test_pdp_away import answer, http

pytestmark = pytest.mark.promise("adapter.notify")
DUTY = {"type": "notify", "to": ["security", "owner"]}
NOTICE = Notice(to=["security", "owner"], server=SERVER, tool="get_order", decision="dec_1")


async def call(notify: Notify, ran: Ran, folder: Path) -> tuple[CallToolResult, list[bytes]]:
    """Call a protected tool whose allow comes with the duty; return the result and what the PDP was told after it."""
    asked: list[bytes] = []

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(duties=[DUTY]) if len(asked) == 1 else http(b"{}"))

    token = folder / "token"
    token.write_text("t")
    async with scripted_pdp(write, asked) as pdp:
        server = payments(ran)
        protect(server, pdp=pdp.url, key=pdp.key, server_id=SERVER, token_file=token, notify=notify)
        async with Client(server) as client:
            result = await client.call_tool("get_order", {"order": "o-1"})
    return result, asked[1:]


async def test_they_are_told_once_and_before_the_tool_runs(tmp_path: Path) -> None:
    ran: Ran = []
    told: list[tuple[Notice, Ran]] = []

    async def notify(notice: Notice) -> None:
        told.append((notice, list(ran)))

    result, _ = await call(notify, ran, tmp_path)
    assert not result.is_error
    assert told == [(NOTICE, [])]
    assert ran == ["get_order"]


@pytest.mark.fault("adapter.duty")
async def test_a_call_that_nobody_can_be_told_of_is_not_made(tmp_path: Path) -> None:
    async def notify(_notice: Notice) -> None:
        raise ConnectionError("the queue is away")

    ran: Ran = []
    result, outcome = await call(notify, ran, tmp_path)
    assert ran == []
    assert result.is_error
    assert DID_NOT_RUN in text_of(result)
    assert "(duties.failed)" in text_of(result)
    assert outcome == [b'{"disposition":"not_executed"}']


async def test_what_takes_too_long_has_failed() -> None:
    async def notify(_notice: Notice) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Refused, match=r"duties\.failed"):
        await tell(notify, NOTICE, within_s=0.01)


async def test_what_is_no_coroutine_has_failed() -> None:
    def notify(_notice: Notice) -> Any:
        return None

    with pytest.raises(Refused, match=r"duties\.failed"):
        await tell(notify, NOTICE)


async def test_a_call_that_is_cancelled_meanwhile_is_cancelled() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def notify(_notice: Notice) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(tell(notify, NOTICE))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_by_default_a_line_of_json_is_written(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mcp_pdp.notify"):
        await tell(log_notice, NOTICE)
    (record,) = caplog.records
    assert record.name == "mcp_pdp.notify"
    assert json.loads(record.getMessage()) == {
        "to": ["security", "owner"],
        "server": SERVER,
        "tool": "get_order",
        "decision": "dec_1",
    }
