"""What breaks ends as a recorded deny within the deadline, and the service recovers by itself (architecture, 4)."""

import asyncio
import json
import math
import os
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pdp.audit.mask import Masker
from pdp.audit.read import find_entry
from pdp.engine import Engine
from pdp.engine.local import LocalOpa
from pdp.engine.opa import OpaClient
from pdp.errors import Fault, Rejected, Unrecorded
from pdp.flow import World, answer
from pdp.identity.people import People
from pdp.identity.peps import STALE_AFTER_S
from pdp.listing import Listing, listing_from, visible
from pdp.policy.live import Active, Policy
from pdp.query import query_from
from pdp.readiness import KEPT_READY_S
from pdp.store.sql import StoreUnavailable
from tests.conftest import FakeClock
from tests.contracts.engines import until
from tests.contracts.scripted import Peer, ok, scripted
from tests.service import Bench, running

DECIDE_S, RECORD_S = 0.2, 5.0  # the one is the default
SLACK_S = 3.0  # a busy machine: pauses of two seconds were seen
PATIENCE_S = 20.0  # until all is well again: published are 3 s, on a quiet machine


def local(pdp: Bench) -> LocalOpa:
    """Return the engine of a service that runs its own OPA."""
    engine = pdp.service.world.policy.active.engine
    assert isinstance(engine, LocalOpa)
    return engine


def asking(pdp: Bench, engine: Engine) -> World:
    """Return the world of a service with another engine in it."""
    world = pdp.service.world
    return replace(world, policy=Policy(Active(world.policy.active.pack, engine)))


def kill(pdp: Bench, what: signal.Signals) -> None:
    """Send a signal to the OPA of a service."""
    pid = local(pdp).pid
    assert pid is not None
    os.kill(pid, what)
    if what == signal.SIGSTOP:  # its threads stop one by one, and on a busy machine one of them may answer before
        end = time.monotonic() + PATIENCE_S
        while states(pid) != {"T"}:
            assert time.monotonic() < end, "it does not stop"
            time.sleep(0.001)


def states(pid: int) -> set[str]:
    """Return the states of the threads of a process (proc(5))."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads}


def said(answer: Any) -> tuple[str, list[str]]:
    """Return an answer's decision and reason codes."""
    return answer["decision"], [reason["code"] for reason in answer["reasons"]]


def recorded(pdp: Bench, answer: Any) -> str:
    """Return what the log holds about an answer."""
    entry = find_entry(pdp.settings.data_dir, answer["id"])
    assert entry is not None, "an answer that is not on record"
    return str(entry.body["decision"])


async def allowed_again(pdp: Bench, within: float = PATIENCE_S) -> float:
    """Return how many seconds it took until a call was allowed; until then some may be late, or not on record."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if (await pdp.post("/v1/decisions", pdp.query())).json().get("decision") == "allow":
            return time.monotonic() - began
        await asyncio.sleep(0.02)
    pytest.fail(f"no allow within {within} s")


async def ready(pdp: Bench, status: int) -> None:
    """Return when readiness has noticed: a probe is kept for a while."""
    end = time.monotonic() + KEPT_READY_S + PATIENCE_S
    while (await pdp.http.get("/readyz")).status_code != status:
        assert time.monotonic() < end, f"/readyz never became {status}"
        await asyncio.sleep(0.05)


@pytest.mark.promise("fault.opa_killed")
@pytest.mark.fault("opa.killed")
async def test_while_opa_is_dead_every_answer_is_a_recorded_deny_and_allows_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, decide_within_s=DECIDE_S, record_within_s=RECORD_S) as pdp:
        answers: list[Any] = []
        slowest, killed, back = 0.0, math.inf, asyncio.Event()

        async def ask_on() -> None:
            nonlocal slowest
            while not back.is_set():
                began = time.monotonic()
                given = await pdp.ask()
                slowest = max(slowest, time.monotonic() - began)
                answers.append(given)
                if began > killed and given["decision"] == "allow":
                    back.set()
                await asyncio.sleep(0.005)  # callers of a real service leave its loop to it

        load = [asyncio.create_task(ask_on()) for _ in range(16)]
        await until(lambda: len(answers) >= 50, PATIENCE_S)
        kill(pdp, signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.wait_for(asyncio.gather(*load), PATIENCE_S)
        denied = [given for given in answers if given["decision"] != "allow"]
        assert denied, "the kill was never noticed"
        assert {said(given)[0] for given in denied} == {"deny"}
        assert {said(given)[1][0] for given in denied} <= {"engine.unavailable", "engine.timeout", "deadline"}
        assert slowest < DECIDE_S + RECORD_S + SLACK_S, "a request hung past its deadline"
        sample = [*denied[:20], *answers[-20:]]
        assert Counter(recorded(pdp, given) for given in sample) == Counter(given["decision"] for given in sample)


@pytest.mark.promise("fault.opa_stopped")
@pytest.mark.fault("opa.stopped", "deadline.decide")
async def test_a_stopped_opa_is_a_recorded_deny_within_the_deadline_and_continues(tmp_path: Path) -> None:
    async with running(tmp_path, decide_within_s=1.0) as pdp:
        await allowed_again(pdp)  # the first call of a principal on a loaded machine may be late
        kill(pdp, signal.SIGSTOP)
        began = time.monotonic()
        given = await pdp.ask()
        assert time.monotonic() - began < 1.0 + SLACK_S
        assert said(given) == ("deny", ["engine.timeout"])
        assert recorded(pdp, given) == "deny"
        kill(pdp, signal.SIGCONT)
        await allowed_again(pdp)


LIES: list[tuple[Any, str]] = [  # what an engine says instead of a verdict, or changes in a good one
    (None, "engine.undefined"),
    ({"effect": "allow"}, "engine.garbled"),
    ("allow", "engine.garbled"),
    (True, "engine.garbled"),
    ([], "engine.garbled"),
    (b"allow", "engine.garbled"),
    ({"+revision": "sha256:other"}, "engine.revision"),
    ({"+also": 1}, "engine.garbled"),
    ({"+effect": "permit"}, "engine.garbled"),
    ({"+effect": "ALLOW"}, "engine.garbled"),
    ({"+permits": []}, "engine.garbled"),
    ({"+permits": "permits.person_entitled"}, "engine.garbled"),
    ({"+permits": ["permits.everyone"]}, "engine.garbled"),
    ({"+broken_guards": ["guards.token_scope"]}, "engine.garbled"),
    ({"+shut_gates": ["gates.amount"]}, "engine.garbled"),
    ({"+effect": "needs_approval"}, "engine.garbled"),
    ({"+duties": {}}, "engine.garbled"),
    ({"+duties": [{}]}, "engine.garbled"),
    ({"+duties": [{"type": 1}]}, "engine.garbled"),
    ({"+permits": ["guards.token_scope"]}, "engine.garbled"),
    ({"+effect": "needs_approval", "+shut_gates": ["guards.token_scope"]}, "engine.garbled"),
    ({"+effect": "deny", "+broken_guards": ["gates.amount"]}, "engine.garbled"),
]


def reply_of(lie: Any, revision: str) -> bytes:
    """Return the HTTP answer that tells a lie."""
    if isinstance(lie, bytes):
        return ok(lie)
    if lie is None:
        return ok(b"{}")
    good = {"effect": "allow", "permits": ["permits.person_entitled"], "broken_guards": [], "shut_gates": []}
    if isinstance(lie, dict) and all(name.startswith("+") for name in lie):
        lie = {**good, "duties": [], "revision": revision, **{name[1:]: value for name, value in lie.items()}}
    return ok(json.dumps({"result": lie}).encode())


@pytest.mark.promise("fault.opa_garbage")
@pytest.mark.fault("opa.garbage", "opa.no_result", "opa.unknown_effect", "opa.extra_key", "opa.wrong_revision")
async def test_an_engine_that_says_anything_but_a_verdict_is_a_recorded_deny(tmp_path: Path) -> None:
    lie: Any = None
    async with running(tmp_path / "data") as pdp:
        revision = pdp.service.world.policy.active.pack.revision

        async def tell(peer: Peer, _body: bytes) -> None:
            await peer.send(reply_of(lie, revision))

        async with scripted(tmp_path / "s", tell):
            engine = OpaClient(f"unix://{tmp_path}/s", revision)
            world = asking(pdp, engine)
            for lie, code in [({"+duties": []}, ""), *LIES]:  # read by `tell`
                given = await answer(query_from(pdp.query()), "pep_test", "r-1", world)
                assert [reason.code for reason in given.reasons] == ([code] if code else []), lie
                assert given.decision == ("deny" if code else "allow"), "the honest one is the control"
                entry = find_entry(pdp.settings.data_dir, given.id)
                assert entry is not None, lie
                assert entry.body["decision"] == given.decision
            await engine.close()


def listed(pdp: Bench) -> Listing:
    """Return what an adapter asks about one tool that alice may call."""
    digest = pdp.query()["tool"]["definition_digest"]
    tools = [{"name": "get_order", "definition_digest": digest}]
    return listing_from({"caller": {"access_token": pdp.token()}, "server": "payments", "tools": tools})


@pytest.mark.promise("fault.opa_garbage")
@pytest.mark.fault("opa.garbage")
async def test_an_engine_that_shows_a_tool_against_its_own_rules_shows_nothing_and_is_on_record(tmp_path: Path) -> None:
    entry: dict[str, Any] = {}
    async with running(tmp_path / "data") as pdp:
        pack = pdp.service.world.policy.active.pack
        good = {"server": "payments", "name": "get_order", "visible": True, "broken_guards": []}
        good["permits"] = ["permits.person_entitled"]

        async def tell(peer: Peer, _body: bytes) -> None:
            await peer.send(ok(json.dumps({"result": {"tools": [entry], "revision": pack.revision}}).encode()))

        async with scripted(tmp_path / "s", tell):
            engine = OpaClient(f"unix://{tmp_path}/s", pack.revision)
            world = asking(pdp, engine)
            lies: list[dict[str, Any]] = [
                {"permits": []},
                {"permits": ["guards.token_scope"]},
                {"broken_guards": ["guards.token_scope"]},
            ]
            for lie in ({}, *lies):
                entry = good | lie  # read by `tell`
                view = await visible(listed(pdp), "pep_test", "r-1", world)
                assert [tool.visible for tool in view.tools] == [not lie]
                assert [reason.code for reason in view.reasons] == (["engine.garbled"] if lie else [])
                assert view.revisions.policy == (None if lie else pack.revision)
                assert view.receipt is not None
            await engine.close()


@pytest.mark.promise("fault.unrecorded")
async def test_a_record_that_cannot_be_put_together_is_never_an_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as pdp:
        broken = replace(pdp.service.world, masker=cast("Masker", object()))
        with pytest.raises(Unrecorded):
            await answer(query_from(pdp.query()), "pep_test", "r-1", broken)


@pytest.mark.promise("fault.unrecorded")
@pytest.mark.fault("log.removed")
async def test_a_log_that_cannot_be_written_is_503_and_never_an_allow(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as pdp:
        shard = pdp.service.world.log.directory
        shard.rename(tmp_path / "elsewhere")
        shard.write_text("a file where the log should be")
        for _ in range(3):
            response = await pdp.post("/v1/decisions", pdp.query())
            assert response.status_code == 503
            assert response.json()["decision"] == "deny"
            assert response.json()["code"] == "audit.unavailable"
            assert response.headers["retry-after"] == "1"
        await ready(pdp, 503)
        shard.unlink()
        (tmp_path / "elsewhere").rename(shard)
        await allowed_again(pdp)
        await ready(pdp, 200)


@pytest.mark.promise("fault.store_gone")
@pytest.mark.fault("store.gone")
async def test_when_the_store_goes_away_calls_are_denied_once_facts_are_too_old_and_keys_later_admit_nobody(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with running(tmp_path / "data", clock) as pdp:
        await allowed_again(pdp)  # the first call of a principal on a loaded machine may be late
        store, kept = tmp_path / "data" / "pdp.db", pdp.query()
        assert (await pdp.post("/v1/decisions", kept, Idempotency_Key="k")).json()["decision"] == "allow"
        store.rename(tmp_path / "gone.db")
        clock.advance(6)  # the published bound is five seconds
        repeated = (await pdp.post("/v1/decisions", kept, Idempotency_Key="k")).json()
        assert repeated["decision"] == "deny", "an answer is not repeated when a kill since then could not be seen"
        decision, codes = said(await pdp.ask())
        assert decision == "deny"
        assert codes[0].startswith("facts.")
        clock.advance(STALE_AFTER_S)
        response = await pdp.post("/v1/decisions", pdp.query())
        assert (response.status_code, response.json()["code"]) == (503, "access.stale")
        (tmp_path / "gone.db").rename(store)
        await pdp.service.peps.poll()
        await allowed_again(pdp)


class Failing:
    """An engine that fails in a way that no engine should."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.revision = ""

    async def evaluate(self, _entrypoint: str, _document: bytes, _deadline: float) -> bytes:
        """Fail."""
        raise self.error

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.promise("fault.unexpected")
@pytest.mark.parametrize("error", [KeyError("x"), Fault("x"), StoreUnavailable("x"), Rejected(400, "x", "x")], ids=repr)
@pytest.mark.fault("fault.unforeseen")
async def test_whatever_else_goes_wrong_is_a_recorded_deny(tmp_path: Path, error: Exception) -> None:
    async with running(tmp_path) as pdp:
        broken = asking(pdp, Failing(error))
        given = await answer(query_from(pdp.query()), "pep_test", "r-1", broken)
        assert (given.decision, given.reasons[0].code) == ("deny", "fault")
        assert find_entry(pdp.settings.data_dir, given.id) is not None


@pytest.mark.promise("fault.unexpected")
@pytest.mark.fault("fault.unforeseen")
async def test_whatever_else_goes_wrong_in_a_list_shows_nothing_and_is_on_record(tmp_path: Path) -> None:
    async with running(tmp_path) as pdp:
        broken = replace(pdp.service.world, people=cast("People", object()))
        view = await visible(listed(pdp), "pep_test", "r-1", broken)
        assert ([tool.visible for tool in view.tools], view.reasons[0].code) == ([False], "fault")
        assert view.id in (pdp.service.world.log.directory / "0000000000000000.jsonl").read_text()


@pytest.mark.promise("fault.deadline")
async def test_a_decision_that_is_late_is_a_recorded_deny(tmp_path: Path) -> None:
    async with running(tmp_path) as pdp:
        hurried = replace(pdp.service.world, decide_within=0.0)
        given = await answer(query_from(pdp.query()), "pep_test", "r-1", hurried)
        assert given.decision == "deny"
        assert given.reasons[0].code in {"deadline", "engine.timeout"}
        assert find_entry(pdp.settings.data_dir, given.id) is not None
