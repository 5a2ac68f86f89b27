"""Live: ask a running MCP server over stdio what it lists, with the official client.

The answer is kept as it came over the wire: the client's own types drop members they do not know, and a definition
is pinned with all of them.
"""

import asyncio
from typing import Any

from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.types import ListToolsRequest, PaginatedRequestParams, PaginatedResult

from ..errors import Fault
from .sources import MAX_DEFINITIONS

PATIENCE_S = 30.0  # starting a server may mean installing it first
MAX_PAGES = 200  # a server that never stops paging must not hold us for ever


class Page(PaginatedResult):
    """One answer to `tools/list`, its definitions untouched."""

    tools: list[dict[str, Any]]


async def list_live(command: list[str]) -> list[dict[str, Any]]:
    """Start `command`, an MCP server that speaks over stdio, and return the definitions it lists.

    The command runs with our rights and a bare environment. Raises `Fault` when it does not start or answer.
    """
    tools: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            async with Client(StdioServerParameters(command=command[0], args=command[1:])) as client:
                tools = await _all_pages(client)
    except* TimeoutError:
        problems.append(f"no list within {PATIENCE_S:.0f} s")
    except* (MCPError, OSError, ValueError) as group:
        problems += [str(error) for error in _leaves(group)]
    if problems:
        raise Fault(f"{command[0]} is not an MCP server that lists its tools over stdio: {'; '.join(problems)}.")
    return tools


async def _all_pages(client: Client) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        request = ListToolsRequest(params=PaginatedRequestParams(cursor=cursor))
        page = await client.session.send_request(request, Page)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
        if len(tools) > MAX_DEFINITIONS:
            break
    raise ValueError(f"it lists more than {MAX_DEFINITIONS} tools or {MAX_PAGES} pages")


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
