"""Traces: a real exporter, a real collector on loopback; what it holds, what it must not, and when it is away."""

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import SpanProcessor

from pdp.audit.read import find_entry
from pdp.errors import Fault
from pdp.flow import conclude, judge_together
from pdp.policy.live import Active, Policy
from pdp.query import query_from
from tests.api.test_decisions import Interrupted
from tests.collector import ROOT, collecting
from tests.flow.test_broken_store import written_by_another
from tests.flow.test_faults import recorded
from tests.service import Bench, calm, running

WORDS = ["query", "identify", "enrich", "vet", "decide", "record", "answer"]
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = CALLER[:-1] + "0"
LOW = f"00-{'0' * 31}1-b7ad6b7169203331-01"  # a ratio takes the traces whose ids are low
CANARY = "canary-7f3e"
SOON_S = 5.0  # far beyond a decision, far below what a silent collector takes


@pytest.mark.promise("traces.tree")
async def test_a_decision_is_a_span_with_a_span_a_word_and_a_link_to_its_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        given = await pdp.ask(context={"traceparent": CALLER})
        root, below = await collector.tree(given["id"])
        _, trace, caller, _ = CALLER.split("-")
        assert (root.name, root.parent, root.failed) == ("decision", ROOT, False)
        assert root.links == [(trace, caller)]
        assert root.trace != trace
        assert {span.trace for span in below.values()} == {root.trace}
        assert sorted(below, key=lambda name: below[name].began) == WORDS
        ends = [below[word].ended for word in WORDS]
        assert ends == sorted(ends), "one word after the other"
        assert root.began <= below["query"].began <= below["answer"].ended <= root.ended
        assert root.attributes["pdp.outcome"] == "allow"
        assert root.attributes["pdp.policy.revision"] == given["revisions"]["policy"]
        assert (root.attributes["pdp.tool.server"], root.attributes["pdp.tool.name"]) == ("payments", "get_order")
        entry = find_entry(pdp.settings.data_dir, given["id"])
        assert entry is not None
        assert entry.body["trace"] == root.trace


@pytest.mark.promise("traces.tree")
@pytest.mark.parametrize("made_up", ["", "00-zz", CALLER + "-x", CALLER.replace("0af7", "0000") + "ff", 7, {"a": []}])
async def test_a_trace_context_that_is_none_is_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_up: object
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        root, _ = await collector.tree((await pdp.ask(context={"traceparent": made_up}))["id"])
        assert (root.parent, len(root.trace), root.links) == (ROOT, 32, [])


@pytest.mark.promise("traces.tree")
async def test_the_word_that_refuses_says_its_code_and_what_broke_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        root, below = await collector.tree((await pdp.ask(token="no token"))["id"])
        (code,) = root.attributes["pdp.codes"]
        assert list(below) == ["query", "identify", "record", "answer"]
        assert (below["identify"].attributes, root.failed) == ({"pdp.code": code}, False)
        await pdp.service.world.policy.active.engine.close()
        root, below = await collector.tree((await pdp.ask())["id"])
        assert below["decide"].attributes == {"pdp.code": "engine.unavailable"}
        assert (root.attributes["error.type"], root.failed) == ("engine.unavailable", True)


@pytest.mark.promise("traces.tree")
async def test_what_cannot_be_recorded_is_traced_as_the_deny_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        await pdp.service.world.log.close()
        response = await pdp.post("/v1/decisions", pdp.query())
        assert response.status_code == 503
        spans = await collector.spans(lambda spans: any(span.attributes.get("error.type") for span in spans))
        root = next(span for span in spans if span.attributes.get("error.type"))
        assert (root.attributes["error.type"], root.attributes["pdp.outcome"]) == ("audit.unavailable", "deny")
        assert {span.name for span in spans if span.parent == root.id} == {*WORDS} - {"answer"}


@pytest.mark.promise("traces.tree")
async def test_each_of_a_batch_has_a_trace_and_so_has_a_list_of_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        asked = {"decisions": [pdp.query(), pdp.query(), pdp.query(tool="made_up", arguments={})]}
        given = (await pdp.post("/v1/decisions/batch", asked)).json()["decisions"]
        trees = [await collector.tree(item["id"]) for item in given]
        assert len({root.trace for root, _ in trees}) == 3
        tool = pdp.query()["tool"]
        listing = {"caller": pdp.query()["caller"], "server": "payments"}
        listing["tools"] = [{"name": tool["name"], "definition_digest": tool["definition_digest"]}]
        seen = (await pdp.post("/v1/tools/visible", listing)).json()
        root, below = await collector.tree(seen["id"])
        assert root.attributes["pdp.outcome"] == "listed"
        assert list(below) == ["identify", "decide", "record", "answer"]


@pytest.mark.promise("traces.tree")
@pytest.mark.parametrize(
    ("sampler", "share", "traced"),
    [
        ("parentbased_always_on", "", True),
        ("parentbased_always_off", "", False),
        ("parentbased_traceidratio", "1e-12", False),
        ("traceidratio", "1e-12", False),
    ],
)
async def test_the_sampler_of_the_environment_alone_says_what_is_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, share: str, traced: bool
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    async with collecting(monkeypatch), running(tmp_path, traces=True) as pdp:
        for named in ({}, {"traceparent": CALLER}, {"traceparent": UNSAMPLED}, {"traceparent": LOW}):
            entry = find_entry(pdp.settings.data_dir, (await pdp.ask(context=named))["id"])
            assert entry is not None
            assert ("trace" in entry.body) == traced, named


@pytest.mark.promise("traces.tree")
async def test_a_batch_that_is_judged_twice_leaves_no_span_without_its_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        await pdp.ask()  # warm: nothing to wait for before the engine is asked
        world = pdp.service.world
        engine = Interrupted(world, change=True)
        changing = replace(world, policy=Policy(Active(world.policy.active.pack, engine)))
        queries = [query_from(pdp.query()), query_from(pdp.query())]
        judged = await judge_together(queries, "pep_test", "r-1", changing, at_once=2)
        assert engine.asked == 4
        told = [await conclude(case, verdict, changing) for case, verdict in judged]
        for one in told:
            await collector.tree(one.id)
        spans = await collector.spans(lambda _: True)
        known = {ROOT, *(span.id for span in spans)}
        assert [span.name for span in spans if span.parent not in known] == []


@pytest.mark.promise("traces.discreet")
async def test_no_trace_holds_an_argument_a_credential_a_person_or_a_name_that_was_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True) as pdp:
        given = await pdp.ask("get_customer", {"customer": CANARY}, context={"traceparent": CALLER, "note": CANARY})
        token = pdp.token()
        bad = await pdp.ask(CANARY, {CANARY: CANARY}, token=token, approval=CANARY)
        stolen = await pdp.ask(token=f"{CANARY}.{CANARY}.{CANARY}")
        response = await pdp.post("/v1/decisions", pdp.query(), X_Request_ID=CANARY)
        for decided in (given, bad, stolen, response.json()):
            await collector.tree(decided["id"])
        secrets = [CANARY, token, pdp.key, "alice", "web-app", "mcp.example"]
        assert [secret for secret in secrets if secret.encode() in collector.raw] == []
        root, _ = await collector.tree(bad["id"])
        assert "pdp.tool.name" not in root.attributes, "nobody registered it, so it is the caller's own text"
        assert set(root.attributes) == {"pdp.decision.id", "pdp.outcome", "pdp.codes", "pdp.policy.revision"}


async def quick_and_right(pdp: Bench) -> None:
    """Ask often, and see no decision wait."""
    slowest = 0.0
    for _ in range(50):
        began = time.perf_counter()
        assert (await pdp.ask())["decision"] == "allow"
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < SOON_S


@pytest.mark.promise("traces.harmless")
async def test_a_collector_that_is_away_slows_no_decision_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and never listened on
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        async with running(tmp_path, traces=True, org_dir=calm(tmp_path / "org")) as pdp:
            await quick_and_right(pdp)
            traces = pdp.service.world.traces
            assert traces is not None
            began = time.perf_counter()
            await traces.close()
            assert time.perf_counter() - began < 8


@pytest.mark.promise("traces.harmless")
async def test_a_collector_that_never_answers_slows_no_decision_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")
    async with collecting(monkeypatch) as collector:
        collector.receiver.silent = True
        async with running(tmp_path, traces=True, org_dir=calm(tmp_path / "org")) as pdp:
            await pdp.ask()
            await collector.receiver.until(1)  # it hangs now
            await quick_and_right(pdp)  # 400 spans: more than the queue holds
            traces = pdp.service.world.traces
            assert traces is not None
            async with asyncio.timeout(8):
                await traces.close()


class Breaking(SpanProcessor):
    """Breaks when a span begins or when it ends, as one of an operator's own might."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: object, parent_context: object = None) -> None:
        """Take a span that begins."""
        _ = span, parent_context
        if self._at == "begin":
            raise RuntimeError("a tracer that breaks")

    def on_end(self, span: object) -> None:
        """Take a span that ends."""
        _ = span
        if self._at == "end":
            raise RuntimeError("a tracer that breaks")


@pytest.mark.promise("traces.harmless")
@pytest.mark.parametrize("at", ["begin", "end"])
async def test_a_tracer_that_breaks_changes_no_decision_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    async with collecting(monkeypatch), running(tmp_path, traces=True) as pdp:
        traces = pdp.service.world.traces
        assert traces is not None
        traces.provider.add_span_processor(Breaking(at))
        given = [
            await pdp.ask(),
            await pdp.ask("made_up", {}),
            await pdp.ask("delete_customer", {"customer": "c-1"}),
            *(await pdp.post("/v1/decisions/batch", {"decisions": [pdp.query(), pdp.query()]})).json()["decisions"],
        ]
        assert [one["decision"] for one in given] == ["allow", "deny", "needs_approval", "allow", "allow"]
        assert [recorded(pdp, one) for one in given] == [one["decision"] for one in given]
        tool = pdp.query()["tool"]
        listing = {"caller": pdp.query()["caller"], "server": "payments"}
        listing["tools"] = [{"name": tool["name"], "definition_digest": tool["definition_digest"]}]
        assert (await pdp.post("/v1/tools/visible", listing)).json()["tools"][0]["visible"]
        assert caplog.text.count("a tracer that breaks") >= len(given)
        await pdp.service.world.log.close()
        unrecorded = await pdp.post("/v1/decisions", pdp.query())
        assert (unrecorded.status_code, unrecorded.json()["decision"]) == (503, "deny")


@pytest.mark.promise("traces.harmless")
async def test_a_word_that_the_deadline_cut_is_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting(monkeypatch) as collector, running(tmp_path, traces=True, record_within_s=2.0) as pdp:
        with written_by_another(tmp_path / "pdp.db"):  # its driver hangs on for seconds; the answer does not wait
            given = await pdp.ask("create_refund", {"order": "o-1", "amount": 6000})
        root, below = await collector.tree(given["id"])
        assert (root.attributes["pdp.codes"], root.failed) == (["deadline"], True)
        assert below["settle"].attributes == {"pdp.unfinished": True}


@pytest.mark.promise("traces.harmless")
async def test_a_service_without_the_sdk_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(Fault, match=r"mcp-pdp\[otel\]"):
        async with running(tmp_path, traces=True):
            pass


@pytest.mark.promise("traces.harmless")
async def test_without_the_setting_nothing_of_a_decision_is_wrapped(tmp_path: Path) -> None:
    async with running(tmp_path) as pdp:
        assert pdp.service.world.traces is None
        given = await pdp.ask(context={"traceparent": CALLER})
        entry = find_entry(pdp.settings.data_dir, given["id"])
        assert entry is not None
        assert "trace" not in entry.body
