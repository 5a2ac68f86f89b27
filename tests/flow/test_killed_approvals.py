"""A process that is killed around an approved call: it never runs twice, and never without a record."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from pdp.audit.entry import read_entry
from pdp.audit.read import Reader
from pdp.flow import judge, open_case, settled
from pdp.identify import PLAIN
from pdp.query import query_from
from pdp.record import record
from tests.conftest import FakeClock
from tests.flow.test_approvals import APPROVERS, REFUND, asked, know, vote
from tests.service import calm, running

When = Literal["judged", "settled", "recorded"]
PATIENCE_S = 120


async def die(data_dir: Path, org: Path, when: When) -> None:
    """Decide the approved call, word by word, and be killed after the word `when`."""
    async with running(data_dir, FakeClock(), org_dir=org) as bench:
        await know(bench, APPROVERS)
        world = bench.service.world
        with world.policy.held() as policy:
            query = query_from(bench.query("create_refund", REFUND))
            case = open_case(query, "pep_test", "req_test", world, policy, asker=PLAIN)
            verdict = await judge(case, world)
        assert verdict.redeems is not None
        if when != "judged":
            verdict = await settled(case, verdict, world)
            assert verdict.effect == "allow"
        if when == "recorded":
            await record(case, verdict, world)
        os.kill(os.getpid(), signal.SIGKILL)


def killed(data_dir: Path, org: Path, when: When) -> None:
    """Run `die` in a process of its own, and see that it was killed and did not fail before."""
    command = [sys.executable, "-m", "tests.flow.test_killed_approvals", str(data_dir), str(org), when]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def on_record(data_dir: Path, identifier: str) -> tuple[int, int]:
    """Return how often the log says that an approval was used, and that a call was allowed by it."""
    shards = [shard for shard in (data_dir / "log").iterdir() if shard.is_dir()]
    entries = [read_entry(line) for shard in shards for line in Reader(shard).lines()]
    used: list[Any] = [entry for entry in entries if entry.kind == "approval.spent" and entry.body["id"] == identifier]
    decided = [entry.body for entry in entries if entry.kind == "decision"]
    allowed = [body for body in decided if (body["decision"], body.get("approval")) == ("allow", identifier)]
    return len(used), len(allowed)


@pytest.mark.slow
@pytest.mark.promise("approvals.once")
@pytest.mark.parametrize(
    ("when", "used", "allowed", "then"),
    [("judged", 0, 0, "allow"), ("settled", 1, 0, "needs_approval"), ("recorded", 1, 1, "needs_approval")],
)
@pytest.mark.fault("approval.cut_off")
async def test_a_killed_process_never_lets_a_call_run_twice_or_off_the_record(
    when: When, used: int, allowed: int, then: str, tmp_path: Path
) -> None:
    org, data_dir = calm(tmp_path / "org"), tmp_path / "pdp"
    async with running(data_dir, FakeClock(), org_dir=org) as before:
        await know(before, APPROVERS)
        identifier = await asked(before)
        await vote(before, identifier, "dave")
    await asyncio.to_thread(killed, data_dir, org, when)
    assert on_record(data_dir, identifier) == (used, allowed)
    async with running(data_dir, FakeClock(), org_dir=org) as after:
        await know(after, APPROVERS)
        assert (await after.ask("create_refund", REFUND))["decision"] == then
        assert (await after.ask("create_refund", REFUND))["decision"] == "needs_approval"
    assert on_record(data_dir, identifier) == (1, 1 if then == "allow" else allowed)


if __name__ == "__main__":
    asyncio.run(die(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))  # type: ignore[arg-type]
