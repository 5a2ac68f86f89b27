"""Outcomes: what the record says of a call that failed, was cancelled, or could not be told in time."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer

from pdp.adapters import outcomes
from pdp.adapters.client import Client as PdpClient
from pdp.adapters.client import Outcome, PdpAway
from pdp.adapters.outcomes import Outcomes
from pdp.audit.entry import read_entry
from pdp.registry.labels import Review
from tests.adapters.stage import MODES, PAGED, Pdp, definitions_of, protected, scripted_pdp, text_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("adapter.outcome")]

SECRET = "078-05-1120"
REVIEWS = {
    "breaks": Review(risk_class="read", owner="test"),
    "crashes": Review(risk_class="read", owner="test"),
    "waits": Review(risk_class="read", owner="test"),
    "breaks_personal": Review(risk_class="read", owner="test", labels=["personal"]),
}


def breaking(begun: asyncio.Event) -> MCPServer[Any]:
    """Return a server whose tools do not end well."""
    server: MCPServer[Any] = MCPServer("breaking")

    @server.tool()
    async def breaks() -> str:
        raise MCPError(-32011, "out of paper")

    @server.tool()
    async def breaks_personal() -> str:
        raise MCPError(-32011, f"no customer {SECRET}")

    @server.tool()
    async def crashes() -> str:
        raise ValueError("a bug")

    @server.tool()
    async def waits() -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    return server


async def told(pdp: Pdp, tool: str, server_id: str) -> list[dict[str, Any]]:
    """Return the outcomes recorded for the newest call of a tool, waiting for the decision to have one."""
    for _ in range(200):
        entries = [line for line in (pdp.data_dir / "log" / "0").glob("*") if line.is_file()]
        lines = [line for path in entries for line in path.read_bytes().splitlines()]
        found = _outcomes_of(lines, tool, server_id)
        if found:
            return found
        await asyncio.sleep(0.02)
    return []


def _outcomes_of(lines: list[bytes], tool: str, server_id: str) -> list[dict[str, Any]]:
    entries = [read_entry(line) for line in lines if b'"kind":"decision"' in line or b'"kind":"outcome"' in line]
    asked = [e.body["id"] for e in entries if e.kind == "decision" and e.body["tool"]["name"] == tool]
    return [e.body["outcome"] for e in entries if e.kind == "outcome" and e.body["decision"] in asked[-1:]]


@pytest.mark.parametrize("mode", MODES)
async def test_a_tool_that_ends_in_an_error_is_reported_as_it_ended(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    server_id = PAGED[mode]
    server = breaking(asyncio.Event())
    await pdp.take_in(await definitions_of(server), REVIEWS, server_id)
    protected(server, pdp, tmp_path, "pat", server_id)
    async with Client(server, mode=mode) as client:
        with pytest.raises(MCPError, match="out of paper"):
            await client.call_tool("breaks", {})
        crashed = await client.call_tool("crashes", {})
        hidden = await client.call_tool("breaks_personal", {})
    assert crashed.is_error
    assert text_of(hidden).startswith("The tool ran, and its result is withheld.")
    assert SECRET not in hidden.model_dump_json()
    assert [one["disposition"] for one in await told(pdp, "breaks", server_id)] == ["failed"]
    assert [one["disposition"] for one in await told(pdp, "breaks_personal", server_id)] == ["failed"]
    assert [one["is_error"] for one in await told(pdp, "crashes", server_id)] == [True]


@pytest.mark.parametrize("mode", MODES)
async def test_a_call_that_is_cancelled_is_reported_as_unknown(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    begun = asyncio.Event()
    server_id = PAGED[mode]
    server = breaking(begun)
    await pdp.take_in(await definitions_of(server), REVIEWS, server_id)
    protected(server, pdp, tmp_path, "pat", server_id)
    async with Client(server, mode=mode) as client:
        calling = asyncio.create_task(client.call_tool("waits", {}))
        await asyncio.wait_for(begun.wait(), 10)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
    assert [one["disposition"] for one in await told(pdp, "waits", server_id)] == ["unknown"]


async def test_what_is_on_its_way_is_waited_for_when_the_server_stops() -> None:
    go = asyncio.Event()
    taken: list[bool] = []

    async def slow(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        taken.append(True)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with scripted_pdp(slow) as pdp:
        client = PdpClient(pdp.url, pdp.key, 5.0)
        reports = Outcomes(client)
        reports.tell("dec_1", Outcome("executed"))
        draining = asyncio.create_task(reports.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        go.set()
        await draining
        await client.close()
    assert taken == [True]


async def test_reports_that_pile_up_are_dropped_aloud(caplog: pytest.LogCaptureFixture) -> None:
    go = asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with scripted_pdp(slow) as pdp:
        client = PdpClient(pdp.url, pdp.key, 0.2)
        reports = Outcomes(client)
        for number in range(outcomes.MAX_PENDING + 1):
            reports.tell(f"dec_{number}", Outcome("executed"))
        go.set()
        await reports.drain()
        await client.close()
    assert f"outcome of dec_{outcomes.MAX_PENDING} (executed) is lost" in caplog.text


async def test_an_outcome_of_somebody_elses_decision_is_not_taken(pdp: Pdp) -> None:
    client = PdpClient(pdp.url, pdp.key, 5.0)
    with pytest.raises(PdpAway) as away:
        await client.report("dec_00000000000000000000000000000000", Outcome("executed"))
    await client.close()
    assert away.value.code == "pdp.rejected"
    assert "404" in away.value.note
