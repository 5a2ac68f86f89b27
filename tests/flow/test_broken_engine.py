"""An engine that is late, breaks off, fails, or runs a policy without rules: a recorded deny, and never an allow."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pdp.app import load_pack
from pdp.approvals import requests
from pdp.approvals.floor import Voter
from pdp.approvals.requests import Ballot, Ruling
from pdp.engine.binary import OPA, find, places
from pdp.engine.local import LocalOpa
from pdp.engine.opa import OpaClient
from pdp.flow import answer
from pdp.policy.archive import read_archive, write_archive
from pdp.query import query_from
from pdp.settings import Settings
from tests.contracts.scripted import Peer, ok, scripted
from tests.contracts.test_engine_answers import HALF, WHOLE
from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, office
from tests.flow.test_faults import asking, ready, recorded, said
from tests.service import Bench, running

DEADLINE_S = 1.5  # the first call of a cold service has to get to the engine in it, on a busy machine too
STALL_S = 0.05
SLACK_S = 3.0  # a busy machine: pauses of two seconds were seen
ERRORS = {f"a {status}": ok(b"{}").replace(b"200 OK", b"%d Failed" % status) for status in (400, 404, 500, 503)}


async def denied(pdp: Bench, engine: Any) -> str:
    """Ask through an engine; return the code of a deny that must be on record and in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    given = await answer(query_from(pdp.query()), "pep_test", "r-1", asking(pdp, engine))
    assert loop.time() - began < DEADLINE_S + SLACK_S
    assert given.decision == "deny"
    assert recorded(pdp, {"id": given.id}) == "deny"
    return given.reasons[0].code


@pytest.mark.promise("fault.opa_late")
@pytest.mark.fault("opa.500", "opa.truncated", "opa.garbage")
async def test_errors_and_half_answers_of_opa_are_recorded_denies(tmp_path: Path, socket_folder: Path) -> None:
    said_now = b""

    async def tell(peer: Peer, _body: bytes) -> None:
        await peer.send(said_now)
        peer.close()

    async with running(tmp_path) as pdp, scripted(socket_folder / "s", tell):
        engine = OpaClient(f"unix://{socket_folder}/s", pdp.service.world.policy.active.pack.revision)
        for name, lie in {**ERRORS, **HALF, **WHOLE}.items():
            said_now = lie  # read by `tell`
            assert await denied(pdp, engine) in {"engine.garbled", "engine.unavailable"}, name
        await engine.close()


SLOW = """
slow if {
	never := input.now
	many := numbers.range(1, 10000)
	some i in many
	some _ in many
	i == never
}
"""  # a hundred million turns
ALLOW, SATISFIED = 'effect := "allow" if {', 'state := "satisfied" if {'


@asynccontextmanager
async def spoilt(folder: Path, spoil: Callable[[dict[str, bytes]], None]) -> AsyncIterator[LocalOpa]:
    """Run a real OPA on the default policy, under its revision, with something in its bundle changed."""
    pack = load_pack(Settings(data_dir=folder / "built"))
    files = read_archive(pack.bundle)
    spoil(files)
    bundle = folder / "spoilt.tar.gz"
    bundle.write_bytes(write_archive(files))
    (folder / "run").mkdir()
    engine = await LocalOpa.start(
        find(OPA, places(OPA, os.environ)).path, bundle, pack.revision, folder / "run", connections=2
    )
    try:
        yield engine
    finally:
        await engine.close()


def empty(files: dict[str, bytes]) -> None:
    """Let the manifest list nothing."""
    data = json.loads(files["data.json"])
    data["manifest"].update({key: [] for key in ("permits", "guards", "gates", "duties")})
    files["data.json"] = json.dumps(data).encode()


def as_it_is(_files: dict[str, bytes]) -> None:
    """Change nothing: the control."""


def slow(files: dict[str, bytes]) -> None:
    """Let an allow take minutes."""
    (name,) = [name for name in files if name.endswith("pdp/decision.rego")]
    text = files[name].decode()
    assert ALLOW in text
    slowed = text.replace(ALLOW, ALLOW + "\n\tslow")
    files[name] = (slowed + SLOW).encode()


def slow_to_count(files: dict[str, bytes]) -> None:
    """Let it take minutes to say that there are enough votes."""
    (name,) = [name for name in files if name.endswith("approvals/quorum.rego")]
    text = files[name].decode()
    assert SATISFIED in text
    files[name] = (text.replace(SATISFIED, SATISFIED + "\n\tslow") + SLOW.replace("input.now", "input.votes")).encode()


@pytest.mark.promise("fault.opa_empty")
@pytest.mark.fault("opa.empty_manifest")
@pytest.mark.parametrize(("spoil", "decision", "status"), [(as_it_is, "allow", 200), (empty, "deny", 503)])
async def test_an_opa_whose_policy_lists_no_rules_allows_nothing_and_the_service_is_not_ready(
    tmp_path: Path, spoil: Callable[[dict[str, bytes]], None], decision: str, status: int
) -> None:
    async with (
        spoilt(tmp_path, spoil) as engine,
        running(tmp_path / "data", opa_url=f"unix://{engine.socket}") as pdp,
    ):
        given = await pdp.ask()
        assert given["decision"] == recorded(pdp, given) == decision
        await ready(pdp, status)


@pytest.mark.promise("fault.opa_late")
@pytest.mark.fault("opa.slow", "deadline.decide")
async def test_an_opa_that_takes_long_is_a_recorded_deny_at_the_deadline_and_stops_working(tmp_path: Path) -> None:
    async with (
        spoilt(tmp_path, slow) as engine,
        running(tmp_path / "data", opa_url=f"unix://{engine.socket}", decide_within_s=DEADLINE_S) as pdp,
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        given = await pdp.ask()
        assert DEADLINE_S <= loop.time() - began + 0.05 < DEADLINE_S + SLACK_S
        assert said(given) == ("deny", ["engine.timeout"])
        assert recorded(pdp, given) == "deny"
        await idle(engine)


@pytest.mark.promise("fault.opa_late")
async def test_whoever_notices_first_that_opa_is_late_the_record_says_that_it_was_opa(tmp_path: Path) -> None:
    async with (
        spoilt(tmp_path, slow) as engine,
        running(tmp_path / "data", opa_url=f"unix://{engine.socket}", decide_within_s=DEADLINE_S) as pdp,
    ):
        loop = asyncio.get_running_loop()
        calls = [asyncio.create_task(pdp.ask()) for _ in range(3)]
        met = loop.time() + DEADLINE_S
        loop.call_at(met - STALL_S, stall, loop, met + STALL_S)
        assert [said(given) for given in await asyncio.gather(*calls)] == [("deny", ["engine.timeout"])] * len(calls)


@pytest.mark.promise("fault.opa_late")
async def test_an_opa_that_is_late_when_votes_are_counted_again_is_named_on_the_record(tmp_path: Path) -> None:
    async with (
        spoilt(tmp_path, slow_to_count) as engine,
        running(tmp_path / "data", opa_url=f"unix://{engine.socket}", decide_within_s=DEADLINE_S) as pdp,
    ):
        await know(pdp, APPROVERS)
        erin, request = Voter("erin", "person"), await asked(pdp)
        await requests.vote(office(pdp), request, Ballot(erin, "approve", "", "sha256:seen"), enough)
        assert said(await pdp.ask("create_refund", REFUND)) == ("deny", ["engine.timeout"])


async def enough(request: Any, _votes: Any, _ballot: Ballot) -> Ruling:
    """Say that one vote is enough, without asking the policy."""
    return Ruling(request["plan"]["stages"][0]["id"], "approve")


def stall(loop: asyncio.AbstractEventLoop, until: float) -> None:
    """Keep the loop from noticing anything for a while, as a busy machine does: then all is late at once."""
    while loop.time() < until:
        pass


async def idle(engine: LocalOpa) -> None:
    """Return when OPA uses no CPU any more; it has half a second to notice that nobody waits for its answer."""
    loop, pid = asyncio.get_running_loop(), engine.pid
    end = loop.time() + SLACK_S + DEADLINE_S
    used = -1
    while used != (used := ticks(pid)):
        assert loop.time() < end, "OPA goes on evaluating for nobody"
        await asyncio.sleep(0.2)


def ticks(pid: int | None) -> int:
    """Return the CPU time of a process, in hundredths of a second (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
