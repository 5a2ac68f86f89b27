"""A sidecar takes up its policy by itself: until then the old one is in force, from then on the new one, and no third.

The sidecar is a scripted server, so that each test decides which revision it names and when; a stock OPA that polls
the bundle endpoint is in test_swaps.py.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pdp.audit.entry import read_entry
from pdp.audit.read import Reader
from pdp.policy.live import Policy
from pdp.policy.notice import Cause
from tests.contracts.engines import until
from tests.contracts.scripted import Peer, ok, scripted
from tests.flow import swaps
from tests.service import Bench, running

pytestmark = pytest.mark.promise("live.sidecar")
SOON_S = 15.0
API = Cause("api", "pep_test")
PERMIT = ["permits.person_entitled"]


@dataclass
class Sidecar:
    """Says yes to everything, under the revision it is told to name; `turns` names others for the answers to come."""

    revision: str = "none"
    turns: list[str] = field(default_factory=list)

    async def answer(self, peer: Peer, body: bytes) -> None:
        """Answer one question as a policy of that revision would."""
        asked = json.loads(body)["input"]
        revision = self.turns.pop(0) if self.turns and asked else self.revision
        rules: dict[str, Any] = {"permits": PERMIT, "broken_guards": []}
        if "calls" in asked:
            tools = [call["tool"] for call in asked["calls"]]
            shown = [{"server": tool["server"], "name": tool["name"], "visible": True, **rules} for tool in tools]
            result: dict[str, Any] = {"tools": shown}
        else:
            result = {"effect": "allow", **rules, "shut_gates": [], "duties": []}
        await peer.send(ok(json.dumps({"result": {**result, "revision": revision}}).encode()))


@dataclass(frozen=True)
class Pair:
    """A service, its sidecar, its org folder, and the revision of variant 0, which is in force."""

    pdp: Bench
    sidecar: Sidecar
    org: Path
    first: str

    @property
    def policy(self) -> Policy:
        return self.pdp.service.world.policy

    async def offered(self, number: int) -> str:
        """Put a variant in place, and return its revision once it is offered."""
        swaps.place(self.org, number)
        await self.pdp.service.renewal.renew(API)
        return self.policy.newest.pack.revision

    async def decided(self) -> tuple[str, str | None]:
        """Return how a call is decided, or by which code it is denied, and the revision named."""
        given = await self.pdp.ask()
        codes = [reason["code"] for reason in given["reasons"]]
        return (codes[0] if codes else given["decision"]), given["revisions"].get("policy")

    def activated(self) -> list[tuple[str, str, bool]]:
        """Return the trigger and revision of each `policy.activated` record, and whether it was an offer."""
        entries = [read_entry(line) for line in Reader(self.pdp.service.world.log.directory).lines()]
        bodies = [entry.body for entry in entries if entry.kind == "policy.activated"]
        return [(body["trigger"], body["revision"], body.get("offered", False)) for body in bodies]


@asynccontextmanager
async def paired(tmp_path: Path, sockets: Path) -> AsyncIterator[Pair]:
    """Run a service beside a sidecar that runs the policy it expects."""
    org, sidecar = swaps.own_rules(tmp_path / "org"), Sidecar()
    async with (
        scripted(sockets / "s", sidecar.answer),
        running(tmp_path / "data", org_dir=org, opa_url=f"unix://{sockets}/s") as pdp,
    ):
        first = sidecar.revision = pdp.service.world.policy.active.pack.revision
        pair = Pair(pdp, sidecar, org, first)
        await until(lambda: len(pair.activated()) == 2, SOON_S)
        yield pair


@pytest.fixture
async def pair(tmp_path: Path, socket_folder: Path) -> AsyncIterator[Pair]:
    """Return a service and its sidecar."""
    async with paired(tmp_path, socket_folder) as pair:
        yield pair


async def test_the_start_is_an_offer_until_the_sidecar_answers_under_it(pair: Pair) -> None:
    assert pair.activated() == [("start", pair.first, True), ("sidecar", pair.first, False)]
    assert await pair.decided() == ("allow", pair.first)


async def test_the_old_policy_is_in_force_until_the_sidecar_names_the_new_one_and_never_again(pair: Pair) -> None:
    second = await pair.offered(1)
    assert await pair.decided() == ("allow", pair.first), "the sidecar has not caught up"
    assert (pair.policy.active.pack.revision, pair.policy.newest.pack.revision) == (pair.first, second)
    assert "pdp_policy_offered 1.0" in (await pair.pdp.http.get("/metrics")).text
    pair.sidecar.revision = second
    assert await pair.decided() == ("allow", second)
    assert pair.policy.active.pack.revision == second
    assert "pdp_policy_offered 0.0" in (await pair.pdp.http.get("/metrics")).text
    pair.sidecar.revision = pair.first
    assert await pair.decided() == ("engine.revision", None), "a sidecar that went back is not believed"
    pair.sidecar.revision = second
    assert await pair.decided() == ("allow", second)
    await until(lambda: pair.activated()[-1] == ("sidecar", second, False), SOON_S)
    assert pair.activated()[-2] == ("api", second, True)


async def test_a_policy_that_nobody_offered_is_a_deny(pair: Pair) -> None:
    await pair.offered(1)
    pair.sidecar.revision = "sha256:" + "0" * 64
    assert await pair.decided() == ("engine.revision", None)
    assert pair.policy.active.pack.revision == pair.first


async def test_without_any_call_the_new_policy_is_in_force_once_the_sidecar_runs_it(pair: Pair) -> None:
    second = await pair.offered(1)
    pair.sidecar.revision = second
    await until(lambda: pair.activated()[-1] == ("sidecar", second, False), SOON_S)
    assert pair.policy.active.pack.revision == second


async def test_of_several_offers_any_may_be_taken_up_and_those_before_it_no_more(pair: Pair) -> None:
    offers = [await pair.offered(number) for number in (1, 2, 3)]
    pair.sidecar.revision = offers[1]
    assert await pair.decided() == ("allow", offers[1])
    pair.sidecar.revision = offers[0]
    assert await pair.decided() == ("engine.revision", None)
    pair.sidecar.revision = offers[2]
    assert await pair.decided() == ("allow", offers[2])


@pytest.mark.slow
async def test_an_offer_that_was_taken_back_is_not_believed_for_long(pair: Pair) -> None:
    second = await pair.offered(1)
    assert await pair.offered(0) == pair.first
    await until(lambda: pair.policy.newest is pair.policy.active, SOON_S)
    pair.sidecar.revision = second
    assert await pair.decided() == ("engine.revision", None)


async def test_a_batch_and_a_list_are_of_one_policy_when_it_changes_meanwhile(pair: Pair) -> None:
    second = await pair.offered(1)
    pair.sidecar.revision = second
    pair.sidecar.turns = [pair.first] * 3
    body = {"decisions": [pair.pdp.query() for _ in range(8)]}
    answers = (await pair.pdp.post("/v1/decisions/batch", body)).json()["decisions"]
    assert {answer["revisions"]["policy"] for answer in answers} == {second}
    assert {answer["decision"] for answer in answers} == {"allow"}
    third = pair.sidecar.revision = await pair.offered(2)
    digest = pair.pdp.query()["tool"]["definition_digest"]
    tools = [{"name": "get_order", "definition_digest": digest}]
    listing = {"caller": {"access_token": pair.pdp.token()}, "server": "payments", "tools": tools}
    seen = (await pair.pdp.post("/v1/tools/visible", listing)).json()
    assert (seen["revisions"]["policy"], seen["tools"]) == (third, [{"name": "get_order", "visible": True}])


async def test_a_bad_policy_is_not_offered(pair: Pair) -> None:
    (pair.org / "guards" / "mine.rego").write_text("package guards.mine\n\nholds := true\n")
    await until(lambda: pair.pdp.service.renewal.notices.rejection is not None, SOON_S)
    assert pair.policy.newest.pack.revision == pair.first
    assert await pair.decided() == ("allow", pair.first)
