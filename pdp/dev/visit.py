"""Visit an MCP server over streamable HTTP as somebody: the official client, with their token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2  # the official client's own HTTP client, which takes the token
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

PATIENCE_S = 20.0


@asynccontextmanager
async def visiting(url: str, token: str | None, mode: str = "auto", **able: Any) -> AsyncIterator[Client]:
    """Yield a connected client. `mode`: `auto` speaks 2026-07-28, `legacy` 2025-11-25. `able`: what else it can do."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE_S, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, **able) as client,
    ):
        yield client
