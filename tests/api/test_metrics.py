"""The metrics: true, bounded whatever callers name, and all that the dashboard and the alerts ask for."""

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from pdp.api.metrics import KEPT_S, Metrics
from pdp.policy.notice import Cause
from tests.conftest import ROOT
from tests.flow.test_faults import kill
from tests.scrape import Series, named, scrape, value
from tests.service import CALM, Bench, calm, running

OPERATIONS = ROOT / "docs" / "operations"
DASHBOARD: dict[str, Any] = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((OPERATIONS / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
HOSTILE = ["a" * 256, 'x"} 1\npdp_ready 1', "éÿ☠", "../../etc", "{}", "secret-" + "7" * 40]
Found = dict[Series, float]
SOON_S = 20.0  # for what should be back in a second, on a busy machine


async def restarted(pdp: Bench) -> None:
    """Kill the engine and return when another has taken its place."""
    kill(pdp, signal.SIGKILL)
    async with asyncio.timeout(SOON_S):
        while value(await scrape(pdp), "pdp_engine_restarts_total") == 0:  # noqa: ASYNC110  # a scrape is what is tested
            await asyncio.sleep(0.05)


def grown(before: Found, after: Found, name: str, **labels: str) -> float:
    """Return by how much a counter grew."""
    return value(after, name, **labels) - value(before, name, **labels)


@pytest.mark.promise("metrics.bounded")
@pytest.mark.asyncio(loop_scope="session")
async def test_no_name_that_a_caller_makes_up_becomes_a_series(pdp: Bench) -> None:
    await pdp.ask()
    await pdp.post("/v1/decisions", b"{")  # what is malformed has a code of its own
    await pdp.http.get("/v1/nothing")
    await pdp.ask("made_up", {})
    before = await scrape(pdp)
    for name in HOSTILE:
        await pdp.ask(name, {}, approval=name, context={"traceparent": name, "client_info": {"name": name}})
        query = pdp.query()
        query["tool"]["definition_digest"] = name
        await pdp.post("/v1/decisions", query, X_Request_ID="r-1", Idempotency_Key="k-" + name[:9].encode().hex())
        await pdp.post("/v1/decisions", {name: name})
        await pdp.http.get("/v1/decisions/" + name.encode().hex())
        await pdp.http.get("/v1/" + name.encode().hex())
    new = {series[0:2] for series in await scrape(pdp) if series not in before}
    codes = {labels[0][1] for name, labels in new if name in {"pdp_reasons_total", "pdp_rejected_total"}}
    assert len(new) <= 4, new
    assert codes <= {"access.unauthenticated", "http.404", "query.malformed"}, codes


@pytest.mark.promise("metrics.true")
@pytest.mark.asyncio(loop_scope="session")
async def test_decisions_reasons_and_rejections_are_counted_once(pdp: Bench) -> None:
    before = await scrape(pdp)
    token = pdp.token()
    for _ in range(3):
        assert (await pdp.ask(token=token))["decision"] == "allow"
    denied = await pdp.ask("made_up", {}, token=token)
    assert (await pdp.post("/v1/decisions", pdp.query(), Authorization="Bearer pdp_no_key")).status_code == 401
    after = await scrape(pdp)
    assert grown(before, after, "pdp_decisions_total", decision="allow") == 3
    assert grown(before, after, "pdp_reasons_total", code=denied["reasons"][0]["code"]) == 1
    assert grown(before, after, "pdp_rejected_total", code="access.unauthenticated") == 1
    assert grown(before, after, "pdp_engine_seconds_count") == 3, "an unknown tool is not asked about"
    assert grown(before, after, "pdp_engine_seconds_sum") > 0
    assert grown(before, after, "pdp_log_write_seconds_count") >= 1
    assert (grown(before, after, "pdp_token_cache_total", result="hit")) == 3
    assert (grown(before, after, "pdp_token_cache_total", result="miss")) == 1
    assert value(after, "pdp_underway") == 0


@pytest.mark.promise("metrics.true")
async def test_the_dashboard_and_the_alerts_name_only_what_a_running_service_shows(tmp_path: Path) -> None:
    async with running(tmp_path / "data", org_dir=calm(tmp_path / "org")) as pdp:
        await pdp.ask()
        await pdp.http.get("/readyz")
        await pdp.service.waiting.look()
        shown = {name for name, _ in await scrape(pdp)}
        asked = named([target["expr"] for panel in PANELS for target in panel["targets"]])
        assert asked - shown == set()
        assert len(asked) > 30
        assert named([rule["expr"] for rule in RULES]) - shown == set()
        own = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in shown}
        told = {name.removesuffix("_bucket") for name in asked | named([rule["expr"] for rule in RULES])}
        unwatched = {name for name in own - told if name.startswith("pdp_") and "_engine_process_" not in name}
        assert unwatched == {"pdp_build_info"}, "a metric that nobody looks at is to be shown, or removed"


@pytest.mark.promise("metrics.true")
async def test_a_dead_engine_is_seen_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path / "data", org_dir=calm(tmp_path / "org")) as pdp:
        await restarted(pdp)
        assert (await pdp.http.get("/metrics")).text.count("pdp_engine_restarts_total 1.0") == 1
        assert value(await scrape(pdp), "pdp_engine_running") == 1


@pytest.mark.promise("metrics.true")
async def test_what_is_counted_of_the_engine_goes_on_under_another_policy(tmp_path: Path) -> None:
    org = calm(tmp_path / "org")
    async with running(tmp_path / "data", org_dir=org) as pdp:
        await restarted(pdp)
        before, replaced = await scrape(pdp), pdp.service.world.policy.active
        (org / "config.yaml").write_text(CALM + "\ngates: {amount: {open_up_to: 4000}}\n")
        await pdp.service.renewal.renew(Cause("watch"))
        assert pdp.service.world.policy.active is not replaced
        assert (await pdp.ask())["decision"] == "allow"
        after = await scrape(pdp)
        assert grown(before, after, "pdp_engine_seconds_count") == 1
        assert grown(before, after, "pdp_engine_seconds_sum") > 0
        assert value(after, "pdp_engine_restarts_total") == 1


class Looks(Collector):
    """Counts how often the metrics are written."""

    def __init__(self) -> None:
        self.times = 0

    def collect(self) -> list[Metric]:
        """Be read, once for each text."""
        self.times += 1
        return []


@pytest.mark.promise("metrics.bounded")
@pytest.mark.asyncio(loop_scope="session")
async def test_a_stranger_who_scrapes_all_the_time_has_the_text_written_once_a_second(
    pdp: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, looks = pdp.service.metrics, Looks()
    monkeypatch.setattr(metrics, "kept_s", Metrics().kept_s)
    metrics.registry.register(looks)
    try:
        began = time.monotonic()
        pages = [await pdp.http.get("/metrics") for _ in range(100)]
        assert {page.status_code for page in pages} == {200}
        assert looks.times <= 1 + (time.monotonic() - began) / KEPT_S
        metrics.kept_s = 0.0
        seen = looks.times
        await scrape(pdp)
        assert looks.times == seen + 1
    finally:
        metrics.registry.unregister(looks)


@pytest.mark.promise("metrics.true")
def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert {"uid", "title", "panels", "templating", "time"} <= DASHBOARD.keys()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "instance"}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        assert all("$instance" in target["expr"] for target in panel["targets"]), panel["title"]


@pytest.mark.promise("alerts.fire")
def test_every_alert_says_what_to_do_and_has_a_line_on_the_page() -> None:
    page = (OPERATIONS / "README.md").read_text()
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert len(rule["annotations"]["runbook"]) > 40, rule["alert"]
        assert f"| {rule['alert']} |" in page
