"""Call a tool of the demo server with the official MCP client; read from stdin by the Python of its container.

    TOKEN=... python - URL TOOL ARGUMENTS < call.py

Prints `ran` or `did not run`, then what the client was told.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent


async def call(url: str, tool: str, arguments: str) -> str:
    """Return what came of one call."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http)) as mcp,
    ):
        result = await mcp.call_tool(tool, json.loads(arguments))
    text = " ".join(part.text for part in result.content if isinstance(part, TextContent))
    return f"{'did not run' if result.is_error else 'ran'}: {text}"


if __name__ == "__main__":
    print(asyncio.run(call(*sys.argv[1:])))
