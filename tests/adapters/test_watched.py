"""From label to adapter: a tool that a reviewer labels `bulk` and `watched` is told of, and its lists come back cut."""

from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.server.mcpserver import MCPServer

from pdp.adapters.notify import Notice
from pdp.registry.labels import Review
from tests.adapters.stage import MODES, PAGED, Pdp, Ran, definitions_of, protected, text_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.parametrize("mode", MODES)]
KEPT = 100  # config.yaml: duties.limit.labels.bulk
BULK = Review(risk_class="read", owner="care-team", labels=["bulk", "watched"])


def listing(ran: Ran) -> MCPServer[Any]:
    """Return a server with one tool, which lists more than anybody asked for."""
    server: MCPServer[Any] = MCPServer("listing")

    @server.tool()
    async def list_all() -> list[int]:
        """List every customer's number."""
        ran.append("list_all")
        return list(range(10 * KEPT))

    return server


@pytest.mark.promise("adapter.limit")
@pytest.mark.promise("adapter.notify")
async def test_a_tool_labelled_bulk_and_watched_is_told_of_and_cut(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: Ran = []
    told: list[Notice] = []

    async def notify(notice: Notice) -> None:
        assert ran == []
        told.append(notice)

    await pdp.take_in(await definitions_of(listing([])), {"list_all": BULK}, PAGED[mode])
    server = listing(ran)
    protected(server, pdp, tmp_path, "pat", PAGED[mode], notify=notify)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("list_all", {})
    assert ran == ["list_all"]
    assert result.structured_content == {"result": list(range(KEPT))}
    assert f"only the first {KEPT} items are here" in text_of(result)
    recorded = pdp.recorded(result)[0].body
    assert {duty["type"] for duty in recorded["duties"]} == {"limit", "notify"}
    assert [(notice.to, notice.server, notice.tool) for notice in told] == [(["security"], PAGED[mode], "list_all")]
