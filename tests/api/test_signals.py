"""`POST /v1/signals` and `pdp signal add`: evidence that counts at once, once, and on record."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.audit.entry import read_entry
from pdp.audit.office import Office
from pdp.audit.read import Reader
from pdp.identity.risk import Kind
from pdp.identity.signals import MOST, SignalBody, receive
from pdp.store.sql import open_store
from tests.flow.test_operator_commands import pdp as command
from tests.idp import ISSUER
from tests.service import Bench, add_pep, running

pytestmark = pytest.mark.promise("signals.taken")
HIGH: dict[str, Any] = {
    "id": "set-1",
    "entity_kind": "person",
    "entity": "alice",
    "code": "caep.risk_high",
    "observed_at": "2026-01-05T09:59:00Z",
}


@pytest.fixture
async def pdp(tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a service of its own."""
    async with running(tmp_path) as bench:
        yield bench


@pytest.fixture
async def watcher(pdp: Bench) -> Bench:
    """Return the same service, asked with a key of scope `signals`."""
    key = await add_pep(pdp.settings, pdp.clock, scopes=["signals"])
    await pdp.service.peps.poll()
    return replace(pdp, key=key)


def received(bench: Bench) -> list[Any]:
    """Return what the log holds about signals."""
    entries = [read_entry(line) for line in Reader(bench.service.world.log.directory).lines()]
    return [entry.body for entry in entries if entry.kind == "signal.received"]


async def evidence(bench: Bench, **claims: Any) -> dict[str, float]:
    """Return the evidence of a decision, points by code."""
    answer = await bench.ask(token=bench.token(**claims))
    assert "risk" in answer, answer
    return {item["code"]: item["points"] for item in answer["risk"]["evidence"]}


async def test_a_signal_counts_at_the_next_call_and_is_on_record(pdp: Bench, watcher: Bench) -> None:
    assert "caep.risk_high" not in await evidence(pdp)
    taken = await watcher.post("/v1/signals", HIGH)
    assert taken.status_code == 200, taken.text
    assert (taken.json()["weight"], taken.json()["half_life_s"]) == (750, 604800)
    assert (await evidence(pdp))["caep.risk_high"] > 10
    assert "caep.risk_high" not in await evidence(pdp, sub="00u2")
    (record,) = received(pdp)
    assert record == taken.json()


async def test_a_session_is_told_apart_from_other_sessions(pdp: Bench, watcher: Bench) -> None:
    session = HIGH | {"entity_kind": "session", "entity": f"{ISSUER} s-1", "code": "device.unknown"}
    assert (await watcher.post("/v1/signals", session)).status_code == 200
    assert "device.unknown" in await evidence(pdp, sid="s-1")
    assert "device.unknown" not in await evidence(pdp, sid="s-2")


async def test_the_same_signal_again_gets_the_same_answer_and_another_under_its_id_is_a_conflict(
    pdp: Bench, watcher: Bench
) -> None:
    first, again = [await watcher.post("/v1/signals", HIGH) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    other = await watcher.post("/v1/signals", HIGH | {"code": "caep.risk_medium"})
    assert (other.status_code, other.json()["code"]) == (409, "signal.conflict")
    assert len(received(pdp)) == 1
    elsewhere = await add_pep(pdp.settings, pdp.clock, scopes=["signals"])
    await pdp.service.peps.poll()
    mine = await replace(pdp, key=elsewhere).post("/v1/signals", HIGH | {"code": "caep.risk_medium"})
    assert mine.status_code == 200, "ids belong to their source"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"entity": "nobody"}, 404),
        ({"entity_kind": "agent"}, 404),
        ({"code": "unheard.of"}, 400),
        ({"weight": 1001}, 400),
        ({"weight": -1}, 400),
        ({"observed_at": "2026-01-05T10:02:00Z"}, 400),
        ({"observed_at": "2026-01-05T10:00:00"}, 400),
        ({"expires_at": "2026-01-05T09:00:00Z"}, 400),
        ({"entity_kind": "session", "entity": "s-1"}, 400),
        ({"entity_kind": "session", "entity": f"{ISSUER} "}, 400),
        ({"entity_kind": "session", "entity": " "}, 400),
        ({"observed_at": "0001-01-01T00:00:00+05:00"}, 400),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, 400),
        ({"half_life_s": 2**70}, 400),
        ({"more": 1}, 400),
        ({"id": ""}, 400),
    ],
)
async def test_what_is_no_signal_is_a_problem_and_counts_for_nothing(
    pdp: Bench, watcher: Bench, change: dict[str, Any], status: int
) -> None:
    response = await watcher.post("/v1/signals", HIGH | change)
    assert response.status_code == status, response.text
    assert received(pdp) == []
    weighed = await watcher.post("/v1/signals", HIGH | {"code": "unheard.of", "weight": 200})
    assert weighed.status_code == 200, "a code of one's own takes a weight"


async def test_the_same_signal_is_recognised_whatever_its_code_weighs_by_then(pdp: Bench, watcher: Bench) -> None:
    body = msgspec.convert(HIGH, SignalBody)
    store = await open_store(pdp.settings.store_url)
    office = Office(store, pdp.service.world.log, pdp.clock)
    weights = pdp.service.world.policy.active.pack.weights
    first = await receive(office, body, "soc", weights)
    lighter = msgspec.structs.replace(weights, signs={**weights.signs, HIGH["code"]: Kind(0.1, 60)})
    unknown = msgspec.structs.replace(weights, signs={})
    for changed in (lighter, unknown):
        assert await receive(office, body, "soc", changed) == first
    await store.dispose()


async def test_only_its_source_withdraws_a_signal_and_then_it_counts_no_more(pdp: Bench, watcher: Bench) -> None:
    await watcher.post("/v1/signals", HIGH)
    key = await add_pep(pdp.settings, pdp.clock, scopes=["signals"])
    await pdp.service.peps.poll()
    for bearer, status in ((key, 404), (watcher.key, 200), (watcher.key, 404)):
        assert "caep.risk_high" in await evidence(pdp)
        gone = await pdp.http.delete("/v1/signals/set-1", headers={"Authorization": f"Bearer {bearer}"})
        assert gone.status_code == status, gone.text
        if status == 200:
            break
    assert "caep.risk_high" not in await evidence(pdp)
    assert received(pdp)[-1]["withdrawn"] is True


async def test_a_source_cannot_pile_up_signals_nor_make_them_last_for_ever(pdp: Bench, watcher: Bench) -> None:
    far = HIGH | {"expires_at": "2099-01-01T00:00:00Z"}
    taken = [await watcher.post("/v1/signals", far | {"id": f"s-{number}"}) for number in range(MOST + 1)]
    assert [response.status_code for response in taken] == [200] * MOST + [400]
    assert taken[0].json()["expires_at"] == "2026-07-04T09:59:00Z"


async def test_a_key_without_the_scope_tells_nothing(pdp: Bench) -> None:
    response = await pdp.post("/v1/signals", HIGH)
    assert (response.status_code, response.json()["code"]) == (403, "access.scope")


async def test_a_signal_by_the_command_line_counts_too(pdp: Bench) -> None:
    moment = {"--observed": "2026-01-05T09:59:00Z", "--id": "note-1"}
    options = [word for pair in moment.items() for word in pair]
    words = ["signal", "add", "person", "alice", "caep.risk_medium", *options]
    first = await asyncio.to_thread(command, pdp.settings.data_dir, *words)  # a blocked loop may hold the store
    assert first.returncode == 0, first.stderr
    await pdp.service.world.people.poll()
    assert "caep.risk_medium" in await evidence(pdp)
    wrong = await asyncio.to_thread(command, pdp.settings.data_dir, "signal", "add", "person", "alice", "unheard.of")
    assert wrong.returncode != 0
    assert "risk.signs" in wrong.stderr
