"""A call that needs an approval, through a protected server: how it waits, what its caller reads, when it runs."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import CallToolResult

from pdp.adapters.pending import MAX_HELD_CALLS, MAX_HOLD_S
from pdp.adapters.replies import APPROVAL, AUTHORIZATION, DECISION, DID_NOT_RUN
from pdp.dev.visit import visiting
from tests.adapters.desk import Desk, Way, desk_of, over_http, reached, with_bearers
from tests.adapters.stage import MODES, Pdp, Ran, text_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("adapter.waits")]
both_eras = pytest.mark.parametrize("mode", MODES)

ROOT = Path(__file__).parent.parent.parent
REFUND = "create_refund"
amounts = itertools.count(6000)  # each test asks for something that nobody was asked before
LONG_S = 30.0  # longer than any of these tests waits for people


@pytest_asyncio.fixture(loop_scope="session")
async def desk(pdp: Pdp) -> AsyncIterator[Desk]:
    """Return the desk where Carol decides."""
    async with desk_of(pdp) as desk:
        yield desk


class Following:
    """A client that follows the progress of its calls, and lets a test know that one is held."""

    def __init__(self, client: Client) -> None:
        self.messages: list[str] = []
        self._client = client
        self._held = asyncio.Event()

    def begin(self, amount: int) -> asyncio.Task[CallToolResult]:
        """Make a call that is not waited for here."""
        call = self._client.call_tool(REFUND, {"order": "o-2", "amount": amount}, progress_callback=self._progressed)
        return asyncio.create_task(call)

    async def held(self) -> None:
        """Return once a call is held."""
        async with asyncio.timeout(20):
            await self._held.wait()

    async def _progressed(self, progress: float, total: float | None, message: str | None) -> None:
        assert total is None  # nobody knows how long people take
        assert progress >= 0
        self.messages.append(message or "")
        self._held.set()


@asynccontextmanager
async def scripting(url: str, token: str, mode: str) -> AsyncIterator[Callable[[int], Awaitable[dict[str, Any]]]]:
    """Yield what calls for a refund in plain HTTP, declaring nothing that a client could do."""
    version = {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    named = {"Mcp-Method": "tools/call", "Mcp-Name": REFUND} if mode == "auto" else {}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    about = {"protocolVersion": version, "clientInfo": {"name": "script", "version": "1"}}
    meta = {f"io.modelcontextprotocol/{name}": value for name, value in {**about, "clientCapabilities": {}}.items()}
    async with httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as http:
        if mode == "legacy":
            hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {**about, "capabilities": {}}}
            http.headers["Mcp-Session-Id"] = (await http.post(url, json=hello)).headers["Mcp-Session-Id"]
        http.headers["MCP-Protocol-Version"] = version

        async def call(amount: int) -> dict[str, Any]:
            params = {"name": REFUND, "arguments": {"order": "o-2", "amount": amount}}
            asked = {**params, "_meta": meta} if mode == "auto" else params
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
            said = (await http.post(url, json=body, headers=named)).text
            told = next((line[6:] for line in said.splitlines() if line.startswith("data: {")), said)
            result: dict[str, Any] = json.loads(told)["result"]
            return result

        yield call


async def refund(client: Client, amount: int) -> CallToolResult:
    """Make a call without any capability that could help it to wait."""
    return await client.call_tool(REFUND, {"order": "o-2", "amount": amount})


def kinds(pdp: Pdp, result: CallToolResult) -> list[tuple[str, str]]:
    """Return what is on record about the decision that a result names."""
    told = [entry.body for entry in pdp.recorded(result)]
    return [("decision", body["decision"]) if "outcome" not in body else ("outcome", body["outcome"]["disposition"])
            for body in told]  # fmt: skip


@both_eras
async def test_a_client_that_can_do_nothing_is_told_what_to_do_and_the_approved_call_runs_once(
    pdp: Pdp, desk: Desk, mode: str
) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"], mode) as client:
        waits = await refund(client, amount)
        identifier = await desk.waits(amount)
        assert ran == []
        await desk.vote(identifier)
        done = await refund(client, amount)
        again = await refund(client, amount)
    assert ran == [REFUND]
    text = text_of(waits)
    assert waits.is_error
    assert text.startswith(f"Waiting for a human. {DID_NOT_RUN}")
    assert "call the same tool again with the same arguments" in text
    assert f"Approval: {identifier}, open until " in text
    assert waits.meta
    assert waits.meta[AUTHORIZATION]["remediation"] == "undisclosed"
    assert waits.meta[APPROVAL]["id"] == identifier
    assert waits.meta[APPROVAL]["retry_after_s"] == 30
    assert not done.is_error
    assert kinds(pdp, done) == [("decision", "allow"), ("outcome", "executed")]
    assert text_of(again).startswith("Waiting for a human.")
    assert identifier not in text_of(again)


@both_eras
async def test_a_script_without_any_sdk_gets_its_approved_call_through(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, scripting(url, pdp.tokens["alice"], mode) as call:
        waits = await call(amount)
        await desk.vote(await desk.waits(amount))
        done = await call(amount)
    assert waits["isError"] is True
    assert waits["content"][0]["text"].startswith(f"Waiting for a human. {DID_NOT_RUN}")
    assert (done["isError"], done["structuredContent"]["id"]) == (False, "o-2")
    assert ran == [REFUND]


@both_eras
async def test_over_stdio_a_call_is_held_and_runs_when_people_agree(
    pdp: Pdp, desk: Desk, mode: Any, tmp_path: Path
) -> None:
    amount = next(amounts)
    token, key, journal = tmp_path / "token", tmp_path / "key", tmp_path / "journal"
    token.write_text(pdp.tokens["alice"])
    key.write_text(pdp.key)
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "tests.adapters.server_over_stdio", pdp.url, str(key), str(journal)],
        env={"PDP_CALLER_TOKEN_FILE": str(token), "PATH": os.environ["PATH"]},
        cwd=ROOT,
    )
    async with Client(command, mode=mode) as client:
        following = Following(client)
        call = following.begin(amount)
        await following.held()
        assert not journal.exists()
        await desk.vote(await desk.waits(amount))
        done = await call
    assert not done.is_error
    assert journal.read_text() == f"{REFUND}\n"


@both_eras
async def test_a_call_that_follows_progress_is_held_and_runs_when_people_agree(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"], mode) as client:
        following = Following(client)
        call = following.begin(amount)
        await following.held()
        identifier = await desk.waits(amount)
        assert ran == []
        await desk.vote(identifier)
        done = await call
    assert ran == [REFUND]
    assert not done.is_error
    assert kinds(pdp, done) == [("decision", "allow"), ("outcome", "executed")]
    assert following.messages[0] == f"Waiting for a person to approve {identifier}"


@both_eras
async def test_a_call_that_is_held_as_long_as_may_be_is_then_told_how_to_go_on(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran, hold_s=0.2) as url, visiting(url, pdp.tokens["alice"], mode) as client:
        waits = await Following(client).begin(amount)
        await desk.vote(await desk.waits(amount))
        done = await refund(client, amount)
    assert text_of(waits).startswith(f"Still waiting for a human. {DID_NOT_RUN}")
    assert "People were asked at 20" in text_of(waits)
    assert (waits.meta or {})[APPROVAL]["since"] in text_of(waits)
    assert not done.is_error
    assert ran == [REFUND]


@both_eras
async def test_a_call_made_again_while_people_think_is_held_for_a_moment(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount, way = next(amounts), Way()
    async with (
        reached(pdp, way) as near,
        over_http(near, ran) as url,
        visiting(url, pdp.tokens["alice"], mode) as client,
    ):
        await refund(client, amount)
        assert not any(path.startswith("/v1/approvals/") for path in way.asked)
        again = asyncio.create_task(refund(client, amount))
        await way.sees("/v1/approvals/")
        assert ran == []
        await desk.vote(await desk.waits(amount))
        done = await again
    assert not done.is_error
    assert ran == [REFUND]


@both_eras
async def test_a_no_reaches_the_model_in_the_words_of_who_said_it(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"], mode) as client:
        following = Following(client)
        call = following.begin(amount)
        await following.held()
        await desk.vote(await desk.waits(amount), "deny", "Ask for the invoice first.")
        held = await call
        later = await refund(client, amount)
    assert ran == []
    for told in (held, later):
        assert text_of(told).startswith(f"Denied. {DID_NOT_RUN}")
        assert "They say: Ask for the invoice first." in text_of(told)
        assert "do not make this call again" in text_of(told)
        assert kinds(pdp, told) == [("decision", "deny")]


@both_eras
async def test_a_request_that_ends_undecided_is_a_no_and_nobody_is_asked_anew(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"], mode) as client:
        following = Following(client)
        call = following.begin(amount)
        await following.held()
        await desk.withdraw(await desk.waits(amount))
        told = await call
    assert ran == []
    assert text_of(told).startswith(f"Denied. {DID_NOT_RUN}")
    assert "(approvals.withdrawn)" in text_of(told)
    assert await desk.open_requests() == []


async def test_a_request_that_nobody_decides_in_time_expires_under_the_call_that_waits(pdp: Pdp, desk: Desk) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"]) as client:
        following = Following(client)
        call = following.begin(amount)
        await following.held()
        pdp.clock.advance(901)
        told = await call
    assert pdp.service
    for follower in (pdp.service.world.people, pdp.service.world.tools, pdp.service.peps):
        await follower.poll()
    assert ran == []
    assert "(approvals.expired)" in text_of(told)
    assert await desk.open_requests() == []


@both_eras
async def test_a_pdp_that_goes_away_while_a_call_is_held_denies_it(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with reached(pdp, Way()) as leaving:
        stack = over_http(leaving, ran)
        url = await stack.__aenter__()
        visit = visiting(url, pdp.tokens["alice"], mode)
        following = Following(await visit.__aenter__())
        call = following.begin(amount)
        await following.held()
    await desk.vote(await desk.waits(amount))  # a yes that cannot be heard
    told = await call
    await visit.__aexit__(None, None, None)
    await stack.__aexit__(None, None, None)
    assert ran == []
    assert told.is_error
    assert "(pdp.unreachable)" in text_of(told)


@both_eras
async def test_a_client_that_cancels_frees_its_place_and_its_call_never_runs(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    first, second = next(amounts), next(amounts)
    async with (
        over_http(pdp, ran, held_calls=1, hold_s=LONG_S) as url,
        visiting(url, pdp.tokens["alice"], mode) as client,
    ):
        following = Following(client)
        call = following.begin(first)
        await following.held()
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        await desk.vote(await desk.waits(first))
        after = Following(client)
        async with asyncio.timeout(20):
            while not after.messages:  # until the server has heard of it, the one place is taken
                other = after.begin(second)
                await asyncio.wait({other, asyncio.create_task(after.held())}, return_when=asyncio.FIRST_COMPLETED)
        await desk.vote(await desk.waits(second))
        assert not (await other).is_error
    assert ran == [REFUND]


@both_eras
async def test_only_so_many_calls_are_held_and_the_others_are_told_at_once(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    first, second = next(amounts), next(amounts)
    async with (
        over_http(pdp, ran, held_calls=1, hold_s=LONG_S) as url,
        visiting(url, pdp.tokens["alice"], mode) as client,
    ):
        following = Following(client)
        call = following.begin(first)
        await following.held()
        crowded = await Following(client).begin(second)
        free = await client.call_tool("get_order", {"order": "o-1"})
        assert not call.done()
        await desk.vote(await desk.waits(first))
        assert not (await call).is_error
    assert text_of(crowded).startswith("Waiting for a human.")
    assert not free.is_error
    assert ran == ["get_order", REFUND]


async def test_held_calls_are_in_nobodys_way(pdp: Pdp, desk: Desk) -> None:
    ran: Ran = []
    amount = next(amounts)
    way = Way()
    async with (
        reached(pdp, way) as near,
        over_http(near, ran, held_calls=MAX_HELD_CALLS, hold_s=MAX_HOLD_S) as url,
        visiting(url, pdp.tokens["alice"]) as client,
    ):
        calls: list[asyncio.Task[CallToolResult]] = []
        while len(calls) < MAX_HELD_CALLS:  # a few at a time: how many are decided at once is not what this is about
            calls += [Following(client).begin(amount) for _ in range(8)]
            await way.sees("/v1/approvals/", len(calls))
        free = await client.call_tool("get_order", {"order": "o-1"})
        assert not any(call.done() for call in calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert not free.is_error
    assert ran == ["get_order"]
    assert await desk.waits(amount)


@both_eras
async def test_other_arguments_than_the_approved_ones_ask_anew(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    approved, changed = next(amounts), next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"], mode) as client:
        await refund(client, approved)
        await desk.vote(await desk.waits(approved))
        told = await refund(client, changed)
        other = await client.call_tool("delete_customer", {"customer": "c-2"})
    assert ran == []
    assert text_of(told).startswith("Waiting for a human.")
    assert text_of(other).startswith("Waiting for a human.")


async def test_a_tool_that_changed_while_its_call_was_held_does_not_run(pdp: Pdp, desk: Desk) -> None:
    ran: Ran = []
    amount = next(amounts)
    server = with_bearers(ran)
    async with over_http(pdp, ran, server) as url, visiting(url, pdp.tokens["alice"]) as client:
        following = Following(client)
        call = following.begin(amount)
        await following.held()
        server.remove_tool(REFUND)

        @server.tool()
        async def create_refund(order: str, amount: int) -> str:
            """Give money back for an order, to whoever asks."""
            ran.append(f"changed for {order}: {amount}")
            return "ran"

        await desk.vote(await desk.waits(amount))
        told = await call
    assert ran == []
    assert "(tool.drifted)" in text_of(told)


async def test_the_same_call_held_twice_runs_once_for_one_approval(pdp: Pdp, desk: Desk) -> None:
    ran: Ran = []
    amount = next(amounts)
    async with over_http(pdp, ran) as url, visiting(url, pdp.tokens["alice"]) as client:
        twins = [Following(client), Following(client)]
        calls = [one.begin(amount) for one in twins]
        for one in twins:
            await one.held()
        await desk.vote(await desk.waits(amount))
        results = await asyncio.gather(*calls)
    assert ran == [REFUND]
    assert sorted(bool(result.is_error) for result in results) == [False, True]
    (other,) = [text_of(result) for result in results if result.is_error]
    assert DID_NOT_RUN in other


@both_eras
async def test_what_is_never_held_is_told_at_once_every_time(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount, way = next(amounts), Way()
    async with (
        reached(pdp, way) as near,
        over_http(near, ran, hold_s=0) as url,
        visiting(url, pdp.tokens["alice"], mode) as client,
    ):
        told = [await Following(client).begin(amount) for _ in range(3)]
    assert ran == []
    assert all(DECISION in (one.meta or {}) and text_of(one).startswith("Waiting for a human.") for one in told)
    assert not any(path.startswith("/v1/approvals/") for path in way.asked)
    assert await desk.waits(amount)
