"""When the PDP is away, late, or talks nonsense: the call is denied, in time, and the tool does not run."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.lowlevel.server import Server
from mcp.types import CallToolResult, ListToolsResult, Tool

from pdp.adapters.replies import AUTHORIZATION, DID_NOT_RUN
from pdp.adapters.sdk import protect
from pdp.dev.seed import SERVER
from tests.adapters.stage import Pdp, Ran, payments, protected, scripted_pdp, text_of

pytestmark = pytest.mark.promise("adapter.closed")

DEADLINE_S = 0.3
SLACK_S = 4.0  # a busy machine
PATIENCE_S = 20.0  # where nothing is late
RECEIPT = {"origin": "0", "index": 1, "entry_digest": "sha256:00"}
ALLOW: dict[str, Any] = {
    "id": "dec_1",
    "decision": "allow",
    "reasons": [],
    "revisions": {},
    "evaluated_at": "2026-01-01T00:00:00Z",
    "elapsed_ms": 1.0,
    "receipt": RECEIPT,
}
UNRECORDED = {
    "type": "urn:x",
    "status": 503,
    "code": "audit.unavailable",
    "decision": "deny",
    "reasons": [{"code": "audit.unavailable", "title": "t", "remedy": "r"}],
}


def http(body: bytes, status: str = "200 OK", length: int | None = None, kind: str = "application/json") -> bytes:
    """Return an HTTP response; `length` lies about the body."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode() + body


def answer(**changes: Any) -> bytes:
    """Return an allow, changed as given; None leaves a member out."""
    members = {name: value for name, value in {**ALLOW, **changes}.items() if value is not None}
    return http(json.dumps(members).encode())


GARBAGE = {
    "text that is not JSON": (http(b"ALLOW"), "pdp.garbled"),
    "a page of some proxy": (http(b"<html>allow</html>", kind="text/html"), "pdp.garbled"),
    "an empty body": (http(b""), "pdp.garbled"),
    "an empty object": (http(b"{}"), "pdp.garbled"),
    "a decision there is not": (answer(decision="ALLOW"), "pdp.garbled"),
    "true for a decision": (answer(decision=True), "pdp.garbled"),
    "an allow without a receipt": (answer(receipt=None), "pdp.garbled"),
    "an allow without an id": (answer(id=None), "pdp.garbled"),
    "half an answer": (http(json.dumps(ALLOW).encode()[:40], length=400), "pdp.unreachable"),
    "not HTTP": (b"allow allow allow\r\n\r\n", "pdp.unreachable"),
    "nothing at all": (b"", "pdp.unreachable"),
    "an answer without end": (http(b" " * 2_000_000), "pdp.unreachable"),
    "a redirect": (
        b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        "pdp.rejected",
    ),
    "an inner error": (http(b'{"code": "fault"}', "500 Internal Server Error"), "pdp.rejected"),
    "an allow with status 500": (http(json.dumps(ALLOW).encode(), "500 Internal Server Error"), "pdp.rejected"),
    "an allow with status 201": (http(json.dumps(ALLOW).encode(), "201 Created"), "pdp.rejected"),
    "no entry for our key": (http(b'{"code": "access.unauthenticated"}', "401 Unauthorized"), "pdp.rejected"),
    "too often": (http(b'{"code": "access.rate"}', "429 Too Many Requests"), "pdp.rejected"),
    "a decision that was not recorded": (
        http(json.dumps(UNRECORDED).encode(), "503 Service Unavailable"),
        "audit.unavailable",
    ),
    "a gateway's 503": (http(b"busy", "503 Service Unavailable"), "pdp.rejected"),
    "a duty we do not know": (answer(duties=[{"type": "watermark"}]), "duties.unknown"),
    "a redaction with an unknown member": (
        answer(duties=[{"type": "redact", "pointers": ["/ssn"], "unless": "asked"}]),
        "duties.unknown",
    ),
    "a redaction of nothing readable": (answer(duties=[{"type": "redact", "pointers": ["ssn"]}]), "duties.unknown"),
    "a redaction without pointers": (answer(duties=[{"type": "redact"}]), "duties.unknown"),
}


async def call(pdp: Pdp, folder: Path, deadline_s: float = PATIENCE_S) -> tuple[CallToolResult, Ran, float]:
    """Call a protected tool, and return what came back, what ran, and the seconds it took."""
    ran: Ran = []
    server = payments(ran)
    protected(server, pdp, folder, deadline_s=deadline_s)
    async with Client(server) as client:
        await client.list_tools()
        started = time.perf_counter()
        result = await client.call_tool("get_order", {"order": "o-1"})
        return result, ran, time.perf_counter() - started


@pytest.mark.parametrize("fault", GARBAGE)
@pytest.mark.fault("adapter.alone")
async def test_an_answer_that_is_not_a_readable_allow_denies(fault: str, tmp_path: Path) -> None:
    written, code = GARBAGE[fault]

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(written)

    async with scripted_pdp(write) as pdp:
        result, ran, _ = await call(pdp, tmp_path)
    assert ran == []
    assert result.is_error
    assert DID_NOT_RUN in text_of(result)
    assert f"({code})" in text_of(result)
    assert (result.meta or {})[AUTHORIZATION]["remediation"] == "undisclosed"


async def test_the_same_script_with_a_readable_allow_lets_the_tool_run(tmp_path: Path) -> None:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer())

    async with scripted_pdp(write) as pdp:
        result, ran, _ = await call(pdp, tmp_path)
    assert ran == ["get_order"]
    assert not result.is_error


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"])
@pytest.mark.fault("adapter.alone")
async def test_an_answer_that_is_late_denies_within_the_deadline(begins: bytes, tmp_path: Path) -> None:
    over = asyncio.Event()

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(begins)
        await writer.drain()
        await over.wait()

    async with scripted_pdp(write) as pdp:
        result, ran, seconds = await call(pdp, tmp_path, DEADLINE_S)
        over.set()
    assert ran == []
    assert "(pdp.late)" in text_of(result)
    assert seconds < DEADLINE_S + SLACK_S


async def test_an_answer_that_drips_denies_at_the_same_deadline(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
        while not over.is_set() and not writer.is_closing():
            writer.write(b" ")
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.02)

    async with scripted_pdp(write) as pdp:
        result, ran, seconds = await call(pdp, tmp_path, DEADLINE_S)
        over.set()
    assert ran == []
    assert "(pdp.late)" in text_of(result)
    assert seconds < DEADLINE_S + SLACK_S


@pytest.mark.fault("adapter.alone")
async def test_a_pdp_that_is_not_there_denies_and_shows_no_tools(tmp_path: Path) -> None:
    async def write(_writer: asyncio.StreamWriter) -> None:
        return

    async with scripted_pdp(write) as pdp:
        gone = pdp
    ran: Ran = []
    server = payments(ran)
    protected(server, gone, tmp_path)
    async with Client(server) as client:
        listed = await client.list_tools()
        result = await client.call_tool("get_order", {"order": "o-1"})
    assert listed.tools == []
    assert ran == []
    assert "(pdp.unreachable)" in text_of(result)


async def test_an_outcome_that_is_not_taken_is_logged_and_the_result_is_handed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replies = [answer(), http(b'{"code": "fault"}', "500 Internal Server Error")]

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(replies.pop(0))

    async with scripted_pdp(write) as pdp:
        ran: Ran = []
        server = payments(ran)
        protected(server, pdp, tmp_path, deadline_s=PATIENCE_S)
        async with Client(server) as client:
            result = await client.call_tool("get_order", {"order": "o-1"})
    assert not result.is_error
    assert "outcome of dec_1 (executed) is not recorded" in caplog.text


UNHEEDED: dict[str, tuple[str, dict[str, Any], list[Any], str]] = {
    "a duty we cannot perform": ("get_order", {"order": "o-1"}, [{"type": "watermark"}], "(duties.unknown)"),
    "arguments that do not fit": ("get_order", {"order": 7}, [], "(tool.arguments)"),
    "a tool the server does not list": ("hidden", {}, [], "Unknown tool: hidden"),
}


@pytest.mark.parametrize("case", UNHEEDED)
async def test_an_allow_that_we_do_not_act_on_is_reported_as_not_executed(case: str, tmp_path: Path) -> None:
    tool, arguments, duties, told = UNHEEDED[case]
    asked: list[bytes] = []

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(duties=duties) if len(asked) == 1 else http(b"{}"))

    async with scripted_pdp(write, asked) as pdp:
        ran: Ran = []
        server = unlisting(ran)
        token = tmp_path / "token"
        token.write_text("t")
        protect(server, pdp=pdp.url, key=pdp.key, server_id=SERVER, token_file=token)
        async with Client(server) as client:
            result = await client.call_tool(tool, arguments)
    assert ran == []
    assert told in text_of(result)
    assert result.is_error
    outcome = [body for body in asked if b"disposition" in body]
    assert outcome == [b'{"disposition":"not_executed"}']


def unlisting(ran: Ran) -> Server[Any]:
    """Return a server that runs any tool it is asked for, and lists one."""
    schema = {"type": "object", "properties": {"order": {"type": "string"}}}

    async def lists(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="get_order", input_schema=schema)])

    async def calls(_ctx: Any, params: Any) -> CallToolResult:
        ran.append(params.name)
        return CallToolResult(content=[])

    return Server("any", on_list_tools=lists, on_call_tool=calls)
