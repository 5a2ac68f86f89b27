"""The alerts, tried by Prometheus' own tool on what a real service shows before and after a part of it breaks."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pdp.policy.live import Active
from pdp.store.sql import StoreUnavailable
from tests import promtool
from tests.api.test_metrics import RULES
from tests.conftest import FakeClock
from tests.flow.test_faults import Failing, allowed_again, kill, ready
from tests.flow.test_notifications import SECRET, kept, later
from tests.flow.test_renewal import fragile as fragile  # noqa: PLC0414  # a fixture
from tests.scrape import Series, scrape, value
from tests.service import Bench, calm, running

pytestmark = [pytest.mark.slow, pytest.mark.promise("alerts.fire")]
shared = pytest.mark.asyncio(loop_scope="module")

SOON_S = 20.0  # for what should be at once, on a busy machine
UP: Series = ("up", ())


async def until_counted(pdp: Bench, name: str, at_least: float, **labels: str) -> None:
    """Return when a series has reached a value."""
    async with asyncio.timeout(SOON_S):
        while value(await scrape(pdp), name, **labels) < at_least:  # noqa: ASYNC110  # a scrape is what is tested
            await asyncio.sleep(0.05)


async def shown(pdp: Bench) -> dict[Series, float]:
    """Return what a scrape shows, with the series that Prometheus itself adds."""
    await pdp.service.waiting.look()
    return {**await scrape(pdp), UP: 1.0}


async def followed(pdp: Bench) -> None:
    """Let everything follow the store once, after the clock was moved."""
    await pdp.service.world.people.poll()
    await pdp.service.world.tools.poll()
    await pdp.service.peps.poll()


async def told(pdp: Bench) -> None:
    """Return when no message is due: a reminder was, as soon as the clock was moved."""
    async with asyncio.timeout(SOON_S):
        await pdp.service.waiting.look()
        while (backlog := pdp.service.waiting.backlog) is None or backlog.due:
            await asyncio.sleep(0.05)
            await pdp.service.waiting.look()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pdp(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """Return a service that its tests leave as they found it, but for counters."""
    folder = tmp_path_factory.mktemp("alerts")
    promtool.promtool()
    async with running(folder / "data", org_dir=calm(folder / "org"), max_underway=4, rate_per_second=200) as bench:
        await bench.ask()
        assert (await bench.http.get("/readyz")).status_code == 200
        yield bench


def test_the_rules_are_rules_to_prometheus() -> None:
    assert f"{len(RULES)} rules found" in promtool.run("check", "rules", promtool.RULES)


@shared
async def test_strangers_drift_and_too_much_at_once_fire_their_alerts(pdp: Bench, tmp_path: Path) -> None:
    well = await shown(pdp)
    for _ in range(40):
        await pdp.post("/v1/decisions", pdp.query(), Authorization="Bearer pdp_no_key")
    drifted = pdp.query()
    drifted["tool"]["definition_digest"] = "sha256:" + "0" * 64
    assert (await pdp.post("/v1/decisions", drifted)).json()["reasons"][0]["code"] == "tool.drifted"
    burst = await asyncio.gather(*(pdp.post("/v1/decisions", pdp.query()) for _ in range(12)))
    assert 503 in {response.status_code for response in burst}
    fired = {"PdpStrangers", "PdpToolDrift", "PdpOverload"}
    promtool.must_fire(tmp_path, well, await shown(pdp), fired)


@shared
async def test_an_adapter_that_asks_too_often_fires_its_alert(pdp: Bench, tmp_path: Path) -> None:
    well = await shown(pdp)
    while (await pdp.post("/v1/decisions", b"{}")).status_code != 429:  # the clock stands, so its bucket is not filled
        pass
    promtool.must_fire(tmp_path, well, await shown(pdp), {"PdpRateLimit"})
    later(pdp, 3)
    await followed(pdp)


@shared
async def test_a_policy_that_is_refused_fires_its_alert(pdp: Bench, tmp_path: Path) -> None:
    well = await shown(pdp)
    assert pdp.settings.org_dir is not None
    rule = pdp.settings.org_dir / "guards" / "mine.rego"
    rule.parent.mkdir()
    rule.write_text("package guards.mine\n\nholds := true\n")
    await until_counted(pdp, "pdp_policy_refused", 1)
    promtool.must_fire(tmp_path, well, await shown(pdp), {"PdpPolicyRefused"})
    shutil.rmtree(rule.parent)
    async with asyncio.timeout(SOON_S):
        while value(await scrape(pdp), "pdp_policy_refused"):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)


@shared
async def test_what_nobody_foresaw_fires_its_alert(pdp: Bench, tmp_path: Path) -> None:
    well, policy = await shown(pdp), pdp.service.world.policy
    good = policy.active
    policy.active = Active(good.pack, Failing(KeyError("x")))
    assert (await pdp.ask())["reasons"][0]["code"] == "fault"
    policy.active = good
    promtool.must_fire(tmp_path, well, await shown(pdp), {"PdpFault"})


@shared
async def test_a_question_nobody_looks_at_fires_its_alert(pdp: Bench, tmp_path: Path) -> None:
    well = await shown(pdp)
    assert (await pdp.ask("delete_customer", {"customer": "c-1"}))["decision"] == "needs_approval"
    later(pdp, 601)
    await followed(pdp)
    await told(pdp)
    promtool.must_fire(tmp_path, well, await shown(pdp), {"PdpApprovalsWait"})


async def test_an_engine_that_dies_often_and_then_for_good_fires_the_alerts(fragile: Path, tmp_path: Path) -> None:
    promtool.promtool()
    async with running(tmp_path / "data", org_dir=calm(tmp_path / "org"), opa_binary=fragile) as pdp:
        await pdp.http.get("/readyz")
        well = await shown(pdp)
        for times in (1, 2, 3):
            kill(pdp, signal.SIGKILL)
            await until_counted(pdp, "pdp_engine_restarts_total", times)
        promtool.must_fire(tmp_path, well, await shown(pdp), {"PdpEngineRestarts"})
        well = await shown(pdp)
        (tmp_path / "broken").touch()
        kill(pdp, signal.SIGKILL)
        while (await pdp.ask())["decision"] == "allow":
            pass
        assert (await pdp.ask())["reasons"][0]["code"] == "engine.unavailable"
        await ready(pdp, 503)
        fired = {"PdpEngineGone", "PdpEngineRefuses", "PdpNotReady"}
        promtool.must_fire(tmp_path, well, await shown(pdp), fired)


async def test_a_log_and_a_store_that_go_away_and_a_receiver_that_is_none_fire_their_alerts(tmp_path: Path) -> None:
    promtool.promtool()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and never listened on
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        webhooks = ({"url": url, "secret_file": kept(tmp_path / "keys", SECRET)},)
        clock = FakeClock()
        told: dict[str, Any] = {"webhooks": webhooks, "unsafe_webhook_private_addresses": True}
        async with running(tmp_path / "data", clock, org_dir=calm(tmp_path / "org"), **told) as pdp:
            well = await shown(pdp)
            await pdp.ask("delete_customer", {"customer": "c-1"})
            await until_counted(pdp, "pdp_approval_messages_total", 1, became="postponed")
            later(pdp, 301)
            await followed(pdp)
            promtool.must_fire(tmp_path, well, await shown(pdp), {"PdpMessagesStuck"})
            well = {**await shown(pdp), ("pdp_outbox_oldest_seconds", ()): 0.0}
            shard = pdp.service.world.log.directory
            shard.rename(tmp_path / "elsewhere")
            shard.write_text("a file where the log should be")
            assert (await pdp.post("/v1/decisions", pdp.query())).status_code == 503
            broken = {**await shown(pdp), ("pdp_outbox_oldest_seconds", ()): 0.0}
            promtool.must_fire(tmp_path, well, broken, {"PdpLogBroken"})
            shard.unlink()
            (tmp_path / "elsewhere").rename(shard)
            await allowed_again(pdp)
            well = {**await scrape(pdp), UP: 1.0, ("pdp_outbox_oldest_seconds", ()): 0.0}
            (tmp_path / "data" / "pdp.db").rename(tmp_path / "gone.db")
            clock.advance(4.5)
            with pytest.raises(StoreUnavailable):
                await pdp.service.waiting.look()
            broken = {**await scrape(pdp), UP: 1.0}
            promtool.must_fire(tmp_path, well, broken, {"PdpFactsStale", "PdpBacklogUnknown"})
            (tmp_path / "gone.db").rename(tmp_path / "data" / "pdp.db")


SLOWLY: dict[
    str, dict[Series, float]
] = {  # what no test can break in seconds: the rules are tried on a scrape in which these series are changed
    "PdpDown": {UP: 0.0},
    "PdpLate": {("pdp_reasons_total", (("code", "deadline"),)): 50.0},
    "PdpPolicyOffered": {("pdp_policy_offered", ()): 1.0},
    "PdpProjectionBehind": {("pdp_projection_behind", ()): 5001.0},
    "PdpIssuerKeysStale": {("pdp_issuers_stale", ()): 1.0},
    "PdpFilesShort": {("process_open_fds", ()): 900.0, ("process_max_fds", ()): 1000.0},
    "PdpPolicyDiffers": {("pdp_policy_info", (("revision", "sha256:other"),)): 1.0},
}


@pytest.mark.parametrize("alert", SLOWLY)
@shared
async def test_what_takes_long_to_break_fires_when_its_series_say_so(pdp: Bench, alert: str, tmp_path: Path) -> None:
    well = await shown(pdp)
    well[("pdp_approvals_oldest_seconds", ())] = 0.0  # of another test's question
    promtool.must_fire(tmp_path, well, {**well, **SLOWLY[alert]}, {alert})


@shared
async def test_memory_that_grows_for_hours_fires(pdp: Bench, tmp_path: Path) -> None:
    well = {**await shown(pdp), ("pdp_approvals_oldest_seconds", ()): 0.0}
    growing: dict[Series, float] = {("process_resident_memory_bytes", ()): 10e6}  # every 15 s
    promtool.must_fire(tmp_path, well, well, {"PdpMemoryGrows"}, growing=growing, broken_m=150)


@shared
@pytest.mark.parametrize(
    ("alert", "histogram"), [("PdpSlow", "pdp_decision_seconds"), ("PdpLogSlow", "pdp_log_sync_seconds")]
)
async def test_what_is_slow_for_minutes_fires(pdp: Bench, alert: str, histogram: str, tmp_path: Path) -> None:
    well = {**await shown(pdp), ("pdp_approvals_oldest_seconds", ()): 0.0}
    slow: dict[Series, float] = {(f"{histogram}_bucket", (("le", "+Inf"),)): 10.0}  # and none in any other bucket
    promtool.must_fire(tmp_path, well, well, {alert}, growing=slow)


def test_every_alert_is_tried() -> None:
    text = Path(__file__).read_text()
    untried = {rule["alert"] for rule in RULES if f'"{rule["alert"]}"' not in text}
    assert untried == set()
