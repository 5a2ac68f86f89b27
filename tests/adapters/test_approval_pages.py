"""Clients that open pages (URL elicitation): the page is shown, the call held; that it was opened approves nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcp import Client
from mcp.server.lowlevel.server import Server
from mcp.types import (
    CallToolResult,
    ElicitRequestURLParams,
    ElicitResult,
    ErrorData,
    InputRequiredResult,
    ListToolsResult,
    TextContent,
    Tool,
)

from pdp.adapters.ladder import LAST_ROUND
from pdp.adapters.replies import APPROVAL, AUTHORIZATION, DID_NOT_RUN
from pdp.dev.visit import visiting
from tests.adapters.desk import PAGES, Desk, Way, desk_of, over_http, reached
from tests.adapters.stage import MODES, Pdp, Ran, definitions_of, payments, protected, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("adapter.pages")]
both_eras = pytest.mark.parametrize("mode", MODES)

REFUND = {"order": "o-2", "amount": 9000}
ORDER = {"id": "o-2", "customer": "c-2", "total": 25_000, "refunded": 0}


class User:
    """Whoever sits at the client, and says the same whenever a page is to be opened."""

    def __init__(self, says: Any) -> None:
        self.shown: list[ElicitRequestURLParams] = []
        self.asked = asyncio.Event()
        self._says = says

    async def __call__(self, context: Any, params: Any) -> ElicitResult | ErrorData:  # noqa: ARG002
        """Answer the client's question."""
        assert isinstance(params, ElicitRequestURLParams)
        self.shown.append(params)
        self.asked.set()
        if self._says is None:
            await asyncio.Event().wait()
        return self._says if isinstance(self._says, ErrorData) else ElicitResult(action=self._says)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(pdp: Pdp) -> AsyncIterator[Desk]:
    """Return the desk where Carol decides."""
    async with desk_of(pdp) as desk:
        yield desk


@asynccontextmanager
async def alice(pdp: Pdp, way: Way, ran: Ran, mode: str, user: User, **options: Any) -> AsyncIterator[Client]:
    """Yield Alice's client, which opens pages for its user, at a server whose PDP is reached by `way`."""
    async with (
        reached(pdp, way) as near,
        over_http(near, ran, **options) as url,
        visiting(url, pdp.tokens["alice"], mode, elicitation_callback=user) as client,
    ):
        yield client


@both_eras
async def test_the_page_is_shown_and_the_call_runs_when_people_agreed_not_when_it_was_opened(
    pdp: Pdp, desk: Desk, mode: str
) -> None:
    ran: Ran = []
    way, user = Way(pages=True), User("accept")
    async with alice(pdp, way, ran, mode, user) as client:
        call = asyncio.create_task(client.call_tool("create_refund", REFUND))
        await user.asked.wait()
        await way.sees("/v1/approvals/")
        identifier = await desk.waits(9000)
        assert ran == []
        await desk.vote(identifier)
        done = await call
    assert not done.is_error
    assert ran == ["create_refund"]
    assert [page.url for page in user.shown] == [PAGES + identifier]
    assert [entry.body.get("decision") for entry in pdp.recorded(done)][:1] == ["allow"]


@both_eras
async def test_an_opened_page_alone_lets_nothing_run_and_the_rounds_have_an_end(
    pdp: Pdp, desk: Desk, mode: str
) -> None:
    ran: Ran = []
    way, user = Way(pages=True), User("accept")
    async with alice(pdp, way, ran, mode, user, hold_s=0.1) as client:
        told = await client.call_tool("create_refund", REFUND)
    assert ran == []
    assert text_of(told).startswith(f"Still waiting for a human. {DID_NOT_RUN}")
    assert f"get it approved at {PAGES}{await desk.waits(9000)}" in text_of(told)
    assert len(user.shown) == 1
    assert way.asked.count("/v1/decisions") == {"auto": 1 + LAST_ROUND, "legacy": 1}[mode]


@both_eras
@pytest.mark.parametrize("says", ["decline", "cancel"])
async def test_who_does_not_open_the_page_is_told_at_once_how_to_go_on(
    pdp: Pdp, desk: Desk, mode: str, says: str
) -> None:
    ran: Ran = []
    async with alice(pdp, Way(pages=True), ran, mode, User(says), hold_s=600) as client:
        told = await client.call_tool("create_refund", REFUND)
    assert ran == []
    assert DID_NOT_RUN in text_of(told)
    assert await desk.waits(9000) in text_of(told)


@both_eras
async def test_a_no_reaches_the_model_while_the_page_is_open(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    amount = {"auto": 9001, "legacy": 9002}[mode]
    way, user = Way(pages=True), User("accept")
    async with alice(pdp, way, ran, mode, user) as client:
        call = asyncio.create_task(client.call_tool("create_refund", {**REFUND, "amount": amount}))
        await user.asked.wait()
        await desk.vote(await desk.waits(amount), "deny", "Ask for the invoice first.")
        told = await call
    assert ran == []
    assert "They say: Ask for the invoice first." in text_of(told)


@both_eras
async def test_without_a_page_nobody_is_asked_to_open_one(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    user = User("accept")
    async with alice(pdp, Way(), ran, mode, user) as client:
        told = await client.call_tool("create_refund", REFUND)
    assert text_of(told).startswith("Waiting for a human.")
    assert user.shown == []
    assert await desk.waits(9000)


@both_eras
async def test_a_client_that_only_follows_progress_is_told_the_page(pdp: Pdp, desk: Desk, mode: str) -> None:
    ran: Ran = []
    told: asyncio.Queue[str | None] = asyncio.Queue()

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        told.put_nowait(message)

    async with (
        reached(pdp, Way(pages=True)) as near,
        over_http(near, ran) as url,
        visiting(url, pdp.tokens["alice"], mode) as client,
    ):
        call = asyncio.create_task(client.call_tool("create_refund", REFUND, progress_callback=progressed))
        said = await told.get()
        identifier = await desk.waits(9000)
        await desk.vote(identifier)
        assert not (await call).is_error
    assert said == f"Waiting for a person to approve {identifier} at {PAGES}{identifier}"


async def test_a_page_that_nobody_answers_is_taken_back_once_people_decided(pdp: Pdp, desk: Desk) -> None:
    ran: Ran = []
    user = User(None)
    async with alice(pdp, Way(pages=True), ran, "legacy", user) as client:
        call = asyncio.create_task(client.call_tool("create_refund", REFUND))
        await user.asked.wait()
        await desk.vote(await desk.waits(9000))
        done = await call
    assert not done.is_error
    assert ran == ["create_refund"]


async def test_a_client_that_cancels_under_an_open_page_frees_its_place_and_its_call_never_runs(
    pdp: Pdp, desk: Desk
) -> None:
    ran: Ran = []
    way, user = Way(pages=True), User(None)
    async with alice(pdp, way, ran, "legacy", user, held_calls=1, hold_s=600) as client:
        call = asyncio.create_task(client.call_tool("create_refund", {**REFUND, "amount": 9004}))
        await user.asked.wait()
        await way.sees("/v1/approvals/")
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        await desk.vote(await desk.waits(9004))  # a yes that nobody waits for any more
        held = asyncio.create_task(way.sees("/v1/approvals/", 2))
        while not held.done():  # until the server has heard of it, the one place is taken
            other = asyncio.create_task(client.call_tool("create_refund", {**REFUND, "amount": 9003}))
            await asyncio.wait({other, held}, return_when=asyncio.FIRST_COMPLETED)
        await held
        await desk.vote(await desk.waits(9003))
        assert not (await other).is_error
    assert ran == ["create_refund"]


async def test_a_client_that_cannot_do_what_it_declared_is_told_how_to_go_on(pdp: Pdp, desk: Desk) -> None:
    ran: Ran = []
    user = User(ErrorData(code=-32000, message="no browser"))
    async with alice(pdp, Way(pages=True), ran, "legacy", user, hold_s=600) as client:
        told = await client.call_tool("create_refund", REFUND)
    assert ran == []
    assert text_of(told).startswith("Waiting for a human.")
    assert await desk.waits(9000)


async def bare(ran: list[Any]) -> Server[Any]:
    """Return a server without a seal on what clients carry; its tools note what they got, and one asks for more."""
    known = {tool["name"]: tool for tool in await definitions_of(payments([]))}

    async def lists(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool.model_validate(known[name]) for name in ("create_refund", "get_order")])

    async def calls(_ctx: Any, params: Any) -> CallToolResult | InputRequiredResult:
        ran.append((params.name, params.request_state, params.input_responses))
        if params.name == "get_order" and params.request_state is None:
            return InputRequiredResult(request_state="the tool's own")
        return CallToolResult(content=[TextContent(text="ran")], structured_content=ORDER)

    return Server("payments", on_list_tools=lists, on_call_tool=calls)


async def test_a_count_that_the_client_made_up_grants_nothing(pdp: Pdp, desk: Desk, tmp_path: Path) -> None:
    ran: list[Any] = []
    async with reached(pdp, Way(pages=True)) as near:
        server = await bare(ran)
        protected(server, near, tmp_path, hold_s=0.1)
        async with Client(server, elicitation_callback=User("accept")) as client:
            said = {APPROVAL: ElicitResult(action="accept")}
            for count in (0, 1, 7, LAST_ROUND, 9, 10**30):
                told = await client.session.call_tool(
                    "create_refund",
                    REFUND,
                    request_state=f"mcp-pdp/approval/v1 {count}",
                    input_responses=dict(said),
                    allow_input_required=True,
                )
                goes_on = 0 < count < LAST_ROUND  # what is no count of ours is the tool's, and kept out of our rounds
                assert isinstance(told, InputRequiredResult) == goes_on
                assert (told.meta or {})[AUTHORIZATION]["reason"] == "insufficient_authorization"
    assert ran == []
    assert await desk.waits(9000)


async def test_what_the_client_carried_for_us_does_not_reach_the_tool(pdp: Pdp, desk: Desk, tmp_path: Path) -> None:
    ran: list[Any] = []
    way, user = Way(pages=True), User("accept")
    async with reached(pdp, way) as near:
        server = await bare(ran)
        protected(server, near, tmp_path)
        async with Client(server, elicitation_callback=user) as client:
            call = asyncio.create_task(client.call_tool("create_refund", REFUND))
            await way.sees("/v1/approvals/")
            await desk.vote(await desk.waits(9000))
            assert not (await call).is_error
    assert ran == [("create_refund", None, None)]


async def test_what_a_tool_asks_of_its_client_itself_passes(pdp: Pdp, tmp_path: Path) -> None:
    ran: list[Any] = []
    server = await bare(ran)
    protected(server, pdp, tmp_path)
    async with Client(server, elicitation_callback=User("accept")) as client:
        done = await client.call_tool("get_order", {"order": "o-2"})
    assert not done.is_error
    assert [state for _, state, _ in ran] == [None, "the tool's own"]
