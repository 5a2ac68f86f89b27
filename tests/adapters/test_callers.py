"""Who calls: the bearer token over HTTP, handed on unread; a file over stdio, read at each call."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.mcpserver import MCPServer

from pdp.adapters.sdk import FileToken, PassTokenVerifier, pass_token, protect
from pdp.dev.loopback import loopback_socket, served
from pdp.dev.seed import SERVER
from pdp.dev.server import add_tools
from pdp.dev.visit import visiting
from pdp.errors import Fault
from tests.adapters.stage import ISSUER, MODES, Pdp, Ran, payments, protected, text_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("adapter.token")]
ROOT = Path(__file__).parent.parent.parent
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}  # fmt: skip


@asynccontextmanager
async def over_http(pdp: Pdp, ran: Ran) -> AsyncIterator[str]:
    """Serve the sample server over streamable HTTP, protected in two lines; yields its URL."""
    server: MCPServer[Any] = MCPServer("payments", **pass_token(issuer=ISSUER, resource="http://127.0.0.1/mcp"))
    add_tools(server, ran.append)
    protect(server, pdp=pdp.url, key=pdp.key, server_id=SERVER, deadline_s=5.0)
    with loopback_socket() as bound:
        async with served(server.streamable_http_app(), bound) as url:
            yield f"{url}/mcp"


@pytest.mark.parametrize("mode", MODES)
async def test_over_http_each_call_is_decided_for_the_bearer_of_its_token(pdp: Pdp, mode: str) -> None:
    ran: Ran = []
    texts = {}
    async with over_http(pdp, ran) as url:
        for who in ("alice", "bob", "stolen", "expired", "alice-helpdesk", "alice-retired", "nightly"):
            async with visiting(url, pdp.tokens[who], mode) as client:
                texts[who] = text_of(await client.call_tool("create_refund", {"order": "o-1", "amount": 1}))
    assert ran == ["create_refund", "create_refund"]
    assert '"refunded": 1' in texts["alice"]
    assert '"refunded": 2' in texts["alice-helpdesk"]
    for who, code in {
        "bob": "permits.none",
        "stolen": "identity.audience",
        "expired": "identity.expired",
        "alice-retired": "identity.agent_inactive",
        "nightly": "guards.agent_ceiling",
    }.items():
        assert f"({code})" in texts[who]


@pytest.mark.parametrize("mode", MODES)
async def test_a_token_that_is_none_is_judged_by_the_pdp_alone(pdp: Pdp, mode: str) -> None:
    ran: Ran = []
    async with over_http(pdp, ran) as url, visiting(url, "not-a-token", mode) as client:
        result = await client.call_tool("get_order", {"order": "o-1"})
    assert ran == []
    assert "(identity.token_malformed)" in text_of(result)
    assert pdp.recorded(result)[0].body["decision"] == "deny"


async def test_without_a_token_http_answers_401(pdp: Pdp) -> None:
    async with over_http(pdp, []) as url, httpx2.AsyncClient() as http:
        response = await http.post(url, json=HELLO, headers={"Accept": "application/json, text/event-stream"})
    assert response.status_code == 401
    assert "resource_metadata" in response.headers["WWW-Authenticate"]


async def test_the_verifier_hands_the_token_on_unread() -> None:
    verifier = PassTokenVerifier()
    for token in ("a.b.c", "opaque", "\x00\x01", "ey\u20ac"):
        held = await verifier.verify_token(token)
        assert held
        assert held.token == token
        assert token not in held.client_id
        assert (held.subject, held.scopes, held.expires_at, held.claims) == (None, [], None, None)
    assert await verifier.verify_token(" ") is None


async def test_a_session_belongs_to_the_token_that_began_it(pdp: Pdp) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    async with over_http(pdp, []) as url, httpx2.AsyncClient() as http:
        begun = await http.post(url, json=HELLO, headers={**accept, "Authorization": f"Bearer {pdp.tokens['alice']}"})
        session = {"Mcp-Session-Id": begun.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        statuses = [
            (
                await http.post(url, json=ping, headers={**accept, **session, "Authorization": f"Bearer {token}"})
            ).status_code
            for token in (pdp.tokens["alice"], pdp.tokens["bob"])
        ]
    assert statuses == [200, 404]


@pytest.mark.parametrize("mode", MODES)
async def test_over_stdio_the_caller_is_whoever_the_file_names_at_that_call(
    pdp: Pdp, tmp_path: Path, mode: Any
) -> None:
    token, key, journal = tmp_path / "token", tmp_path / "key", tmp_path / "journal"
    token.write_text(pdp.tokens["bob"] + "\n")
    key.write_text(pdp.key + "\n")
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "tests.adapters.server_over_stdio", pdp.url, str(key), str(journal)],
        env={"PDP_CALLER_TOKEN_FILE": str(token), "PATH": os.environ["PATH"]},
        cwd=ROOT,
    )
    refund = {"order": "o-1", "amount": 1}
    async with Client(command, mode=mode) as client:
        as_bob = await client.call_tool("create_refund", refund)
        token.write_text(pdp.tokens["alice"])
        as_alice = await client.call_tool("create_refund", refund)
        token.unlink()
        as_nobody = await client.call_tool("create_refund", refund)
    assert "(permits.none)" in text_of(as_bob)
    assert not as_alice.is_error
    assert "(identity.token_missing)" in text_of(as_nobody)
    assert journal.read_text() == "create_refund\n"


async def test_over_stdio_a_server_does_not_start_without_a_caller(tmp_path: Path) -> None:
    for named in (None, tmp_path / "absent", tmp_path / "empty"):
        (tmp_path / "empty").write_text(" \n")
        with pytest.raises(Fault, match=r"PDP_CALLER_TOKEN_FILE|no access token"):
            protect(payments([]), pdp="http://127.0.0.1:9", key="k", server_id=SERVER, token_file=named)


async def test_a_message_over_http_never_speaks_for_the_file(pdp: Pdp, tmp_path: Path) -> None:
    ran: Ran = []
    server = payments(ran)  # no `auth`: anybody can reach it
    protected(server, pdp, tmp_path, "alice")
    with loopback_socket() as bound:
        async with served(server.streamable_http_app(), bound) as url:
            for mode in MODES:
                async with visiting(f"{url}/mcp", None, mode) as client:
                    assert (await client.list_tools()).tools == []
                    result = await client.call_tool("get_order", {"order": "o-1"})
                    assert "(identity.token_missing)" in text_of(result)
    assert ran == []


async def test_a_server_with_bearers_never_speaks_for_nobody(pdp: Pdp) -> None:
    ran: Ran = []
    server: MCPServer[Any] = MCPServer("payments", **pass_token(issuer=ISSUER, resource="http://127.0.0.1/mcp"))
    add_tools(server, ran.append)
    protect(server, pdp=pdp.url, key=pdp.key, server_id=SERVER)
    async with Client(server) as client:  # in memory: there is no request that could bear a token
        result = await client.call_tool("get_order", {"order": "o-1"})
    assert ran == []
    assert "(identity.token_missing)" in text_of(result)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pdp": "pdp.example"},
        {"pdp": "ftp://pdp.example"},
        {"pdp": "http://"},
        {"key": " "},
        {"key": "k\nk"},
        {"server_id": ""},
        {"server_id": "a/b"},
        {"server_id": "*"},
        {"deadline_s": 0},
        {"hold_s": -1},
        {"hold_s": 601},
        {"hold_s": float("nan")},
        {"held_calls": -1},
        {"held_calls": 65},
    ],
)
async def test_settings_that_cannot_work_are_refused_at_the_start(tmp_path: Path, wrong: dict[str, Any]) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    good: dict[str, Any] = {"pdp": "http://127.0.0.1:9", "key": "k", "server_id": SERVER, "token_file": token}
    protect(payments([]), **good)
    with pytest.raises(Fault):
        protect(payments([]), **{**good, **wrong})


async def test_an_open_line_to_the_pdp_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    for url, warned in (("https://pdp.example", False), ("http://127.0.0.1:1", False), ("http://pdp.example", True)):
        caplog.clear()
        protect(payments([]), pdp=url, key="k", server_id=SERVER, token_file=token)
        assert ("can be read on the way" in caplog.text) is warned


async def test_a_token_file_that_is_not_text_is_no_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(Fault):
        FileToken(tmp_path / "token")
