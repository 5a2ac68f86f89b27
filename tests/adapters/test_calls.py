"""Calls through a protected server, in both eras, decided by a real PDP: what runs, what does not, what is read."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client
from mcp.types import RequestParamsMeta
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pdp.adapters.replies import AUTHORIZATION, DECISION, DID_NOT_RUN
from tests.adapters.stage import MODES, Pdp, Ran, payments, protected, text_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.parametrize("mode", MODES)]


@pytest.mark.promise("adapter.call")
async def test_an_allowed_call_runs_and_names_its_decision(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: Ran = []
    server = payments(ran)
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("create_refund", {"order": "o-1", "amount": 40})
    assert ran == ["create_refund"]
    assert not result.is_error
    assert result.structured_content
    assert result.structured_content["refunded"] == 40
    assert pdp.recorded(result)[0].body["decision"] == "allow"


@pytest.mark.promise("adapter.replies")
async def test_a_denied_call_does_not_run_and_says_why_and_what_would_help(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: Ran = []
    server = payments(ran)
    protected(server, pdp, tmp_path, "bob")
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("create_refund", {"order": "o-1", "amount": 40})
    assert ran == []
    assert result.is_error
    text = text_of(result)
    assert text.startswith(f"Denied. {DID_NOT_RUN}")
    assert "(permits.none)" in text
    assert "entitlement" in text
    assert result.meta
    assert result.meta[DECISION]["id"] in text
    assert result.meta[AUTHORIZATION] == {
        "reason": "insufficient_authorization",
        "remediation": "unavailable",
        "authorizationContextId": result.meta[DECISION]["id"],
    }


@pytest.mark.promise("adapter.replies")
async def test_a_call_that_waits_for_a_human_says_so_and_how_to_go_on(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: Ran = []
    server = payments(ran)
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("delete_customer", {"customer": "c-1"})
    assert ran == []
    assert result.is_error
    text = text_of(result)
    assert text.startswith(f"Waiting for a human. {DID_NOT_RUN}")
    assert "call the same tool again with the same arguments" in text
    assert "(gates.destructive)" in text
    assert result.meta
    assert result.meta[AUTHORIZATION]["remediation"] == "undisclosed"


@pytest.mark.promise("adapter.replies")
async def test_a_tool_that_is_not_registered_reads_like_one_that_does_not_exist(
    pdp: Pdp, tmp_path: Path, mode: Any
) -> None:
    ran: Ran = []
    server = payments(ran)

    @server.tool()
    async def secret_tool() -> str:
        ran.append("secret_tool")
        return "ran"

    bare = payments([])
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        unregistered = await client.call_tool("secret_tool", {})
        absent = await client.call_tool("absent_tool", {})
    async with Client(bare, mode=mode) as client:
        native = await client.call_tool("secret_tool", {})
    assert ran == []
    assert text_of(unregistered) == text_of(native) == "Unknown tool: secret_tool"
    assert text_of(absent) == "Unknown tool: absent_tool"
    assert (unregistered.is_error, unregistered.structured_content) == (native.is_error, native.structured_content)
    assert not (unregistered.meta or {}).keys() & {DECISION, AUTHORIZATION}


@pytest.mark.promise("adapter.canonical")
async def test_the_arguments_decided_on_are_those_the_tool_gets(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    server = payments([])
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        listed = await client.call_tool("list_orders", {})
        refund = await client.call_tool("create_refund", {"order": "o-1", "amount": "25"})
        large = await client.call_tool("create_refund", {"order": "o-2", "amount": "20000"})
        twisted = await client.call_tool("create_refund", {"order": "o-1", "amount": True})
        extra = await client.call_tool("create_refund", {"order": "o-1", "amount": 1, "to": "me"})
    assert pdp.recorded(listed)[0].body["input"]["arguments"] == {"limit": 10}
    assert pdp.recorded(refund)[0].body["input"]["arguments"] == {"order": "o-1", "amount": 25}
    assert refund.structured_content
    assert refund.structured_content["refunded"] == 25
    assert large.is_error
    assert "(permits.none)" in text_of(large)
    assert twisted.is_error
    assert "/amount must be an integer" in text_of(twisted)
    assert extra.is_error
    assert "/to is not declared" in text_of(extra)
    assert pdp.recorded(extra)[0].body["decision"] == "deny"


@pytest.mark.promise("adapter.redact")
async def test_personal_data_is_taken_out_of_structure_and_text(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    ran: Ran = []
    server = payments(ran)
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("get_customer", {"customer": "c-1"})
    assert ran == ["get_customer"]
    assert result.structured_content == {"id": "c-1", "name": "Carla Cole", "ssn": "[redacted]"}
    assert json.loads(text_of(result)) == result.structured_content


@pytest.mark.promise("adapter.redact")
async def test_an_error_of_a_redacted_tool_is_withheld(pdp: Pdp, tmp_path: Path, mode: Any) -> None:
    server = payments([])
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("get_customer", {"customer": "078-05-1120"})
    assert result.is_error
    assert text_of(result).startswith("The tool ran, and its result is withheld.")
    assert "078-05-1120" not in result.model_dump_json()


@pytest.mark.promise("adapter.intent")
@pytest.mark.parametrize(
    "meta",
    [
        {"mcp-pdp/intent": {"prompt": "Refund Carla.", "turn": "t-1", "model": "m-1"}},
        {
            "io.modelcontextprotocol/aiInvocation": {
                "userIntent": {"text": "Refund Carla."},
                "turnId": "t-1",
                "model": {"name": "m-1"},
            }
        },
    ],
)
async def test_prompt_turn_model_and_trace_are_handed_on(
    pdp: Pdp, tmp_path: Path, mode: Any, meta: dict[str, Any]
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    server = payments([])
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        stamped = cast("RequestParamsMeta", {**meta, "traceparent": trace})
        result = await client.call_tool("get_order", {"order": "o-1"}, meta=stamped)
    context = pdp.recorded(result)[0].body["input"]["context"]
    assert context["intent"] == {"prompt": "Refund Carla.", "turn": "t-1", "model": "m-1"}
    assert context["traceparent"] == trace
    assert context["mcp_method"] == "tools/call"
    assert context["protocol_version"] == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    assert context["client_info"]["name"]


@pytest.mark.promise("adapter.outcome")
async def test_an_outcome_is_reported_exactly_once_for_each_call_that_was_let_through(
    pdp: Pdp, tmp_path: Path, mode: Any
) -> None:
    server = payments([])
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        good = await client.call_tool("get_order", {"order": "o-1"})
        bad = await client.call_tool("get_order", {"order": "o-404"})
        denied = await client.call_tool("create_refund", {"order": "o-1", "amount": 20_000})
    outcomes = [[entry.body["outcome"] for entry in pdp.recorded(result)[1:]] for result in (good, bad, denied)]
    assert [len(told) for told in outcomes] == [1, 1, 0]
    assert outcomes[0][0]["disposition"] == "executed"
    assert outcomes[0][0]["is_error"] is False
    assert outcomes[0][0]["result_digest"].startswith("sha256:")
    assert outcomes[0][0]["duration_ms"] >= 0
    assert outcomes[1][0]["is_error"] is True


@pytest.mark.promise("traces.tree")
async def test_a_server_that_is_traced_hands_on_its_own_span_of_the_call(
    pdp: Pdp, tmp_path: Path, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr("mcp.shared._otel._tracer", provider.get_tracer("mcp"))
    server = payments([])
    protected(server, pdp, tmp_path)
    async with Client(server, mode=mode) as client:
        result = await client.call_tool("create_refund", {"order": "o-1", "amount": 40})
    spans = {f"{span.context.trace_id:032x}-{span.context.span_id:016x}": span for span in kept.get_finished_spans()}
    sent = pdp.recorded(result)[0].body["input"]["context"]["traceparent"]
    span = spans[sent[3:-3]]
    assert (span.kind.name, span.attributes and span.attributes["mcp.method.name"]) == ("SERVER", "tools/call")
