"""Lists and other methods: what a caller is shown, in both eras, and what is let through at all."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, ListToolsResult, TextContent, Tool

from pdp.adapters.sdk import DENIED, protect
from pdp.dev.server import add_tools
from pdp.errors import Fault
from pdp.registry.labels import Review
from tests.adapters.stage import MODES, PAGED, Pdp, payments, protected, scripted_pdp, text_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.parametrize("mode", MODES)]

READER = Review(risk_class="read", owner="test")
SHOWN = {
    "alice": {"get_order", "list_orders", "create_refund", "get_customer", "delete_customer", "export_report"},
    "nightly": {"get_order", "list_orders"},
    "bob": set(),
    "expired": set(),
}


@pytest.mark.promise("adapter.list")
@pytest.mark.parametrize("who", SHOWN)
async def test_everyone_is_shown_the_tools_they_may_call_at_all(pdp: Pdp, tmp_path: Path, mode: Any, who: str) -> None:
    server = payments([])

    @server.tool()
    async def not_registered() -> str:
        return ""

    protected(server, pdp, tmp_path, who)
    async with Client(server, mode=mode) as client:
        listed = await client.list_tools()
    assert {tool.name for tool in listed.tools} == SHOWN[who]


@pytest.mark.promise("adapter.list")
async def test_a_list_is_for_its_caller_only_and_at_once_stale(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    everybody = CacheHint(ttl_ms=60_000, scope="public")  # what the server's author wished
    server: MCPServer[Any] = MCPServer("payments", cache_hints={"tools/list": everybody, "prompts/list": everybody})
    ran: list[str] = []
    add_tools(server, ran.append)
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        tools, prompts = await client.list_tools(), await client.list_prompts()
    assert (tools.cache_scope, tools.ttl_ms, len(tools.tools)) == ("private", 0, 6)
    assert (prompts.cache_scope, prompts.ttl_ms) == ("private", 0)


@pytest.mark.promise("adapter.list")
async def test_a_list_takes_one_question(tmp_path: Path, mode: Any) -> None:
    asked = 0

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        body = b'{"tools":[{"name":"get_order","visible":true},{"name":"list_orders","visible":false}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with scripted_pdp(answer) as pdp:
        server = payments([])
        protected(server, pdp, tmp_path)
        async with Client(server, mode=mode) as client:
            listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == ["get_order"]
    assert asked == 1


@pytest.mark.promise("adapter.methods")
async def test_resources_and_prompts_are_denied_and_their_lists_are_empty(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: list[str] = []
    server = payments([])

    @server.resource("notes://secret")
    def secret() -> str:
        ran.append("resource")
        return "secret"

    @server.prompt()
    def greet() -> str:
        ran.append("prompt")
        return "hello"

    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        assert (await client.list_prompts()).prompts == []
        for attempt in (client.read_resource("notes://secret"), client.get_prompt("greet")):
            with pytest.raises(MCPError) as denied:
                await attempt
            assert denied.value.error.code == DENIED
    assert ran == []


@pytest.mark.promise("adapter.methods")
async def test_a_method_can_be_let_through_only_by_an_unsafe_name_and_warns(
    pdp: Pdp, tmp_path: Path, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = payments([])

    @server.resource("notes://open")
    def note() -> str:
        return "open"

    protected(server, pdp, tmp_path, unsafe_pass_methods={"resources/read"})
    assert "resources/read are let through undecided" in caplog.text
    async with Client(server, mode=mode) as client:
        assert (await client.read_resource("notes://open")).contents
        with pytest.raises(MCPError):
            await client.get_prompt("greet")
    for method in ("tools/call", "tools/list"):
        with pytest.raises(Fault, match=method):
            protected(payments([]), pdp, tmp_path, unsafe_pass_methods={method})


def paged(ran: list[str]) -> Server[Any]:
    """Return a low-level server that lists its two tools on two pages and takes arguments as they come."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}}
    tools = [Tool(name=name, input_schema=schema) for name in ("first", "second")]

    async def lists(_ctx: Any, params: Any) -> ListToolsResult:
        at = int(params.cursor) if params and params.cursor else 0
        return ListToolsResult(tools=[tools[at]], next_cursor=str(at + 1) if at == 0 else None)

    async def calls(_ctx: Any, params: Any) -> CallToolResult:
        ran.append(f"{params.name} {params.arguments}")
        return CallToolResult(content=[TextContent(type="text", text="ran")])

    return Server("paged", on_list_tools=lists, on_call_tool=calls)


@pytest.mark.promise("adapter.call")
async def test_a_low_level_server_with_pages_is_protected_too(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: list[str] = []
    async with Client(paged([]), mode=mode) as client:
        pages = [await client.list_tools(), await client.list_tools(cursor="1")]
    wire = [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for page in pages for tool in page.tools]
    await pdp.take_in(wire, {"second": READER}, PAGED[mode])
    token = tmp_path / "token"
    token.write_text(pdp.tokens["pat"])
    server = paged(ran)
    protect(server, pdp=pdp.url, key=pdp.key, server_id=PAGED[mode], token_file=token, deadline_s=5.0)
    async with Client(server, mode=mode) as client:
        shown = [(await client.list_tools(cursor=cursor)).tools for cursor in (None, "1")]
        result = await client.call_tool("second", {"n": "7"})
        filled = await client.call_tool("second", {})
        unapproved = await client.call_tool("first", {})
    assert [[tool.name for tool in page] for page in shown] == [[], ["second"]]
    assert ran == ["second {'n': 7}", "second {'n': 3}"]
    assert (result.is_error, filled.is_error, unapproved.is_error) == (False, False, True)
    assert "(tool.unapproved)" in text_of(unapproved)
