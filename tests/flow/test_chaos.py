"""A few rounds of `make chaos` and some seconds of `make soak`, and that what they check with notices what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from pdp.audit.log import Log
from pdp.times import system_clock
from tests.bench.stage import Home
from tests.chaos import cast
from tests.chaos.cast import Call
from tests.chaos.ledger import Ledger
from tests.chaos.memory import Sample, trend
from tests.chaos.openloop import OpenLoop
from tests.chaos.oracle import Fact, Truth
from tests.chaos.rounds import Tally, chaos
from tests.chaos.soak import MUST_NOT, soak
from tests.chaos.wire import Reply
from tests.idp import Idp

SOAKED_S = 8.0
READ = Call(cast.PEOPLE[0], cast.STOPPABLE, "get_order", {"order": "o-1"})


def on_sqlite(data_dir: Path) -> str:
    return f"sqlite+aiosqlite:///{data_dir / 'pdp.db'}"


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.promise("fault.chaos")
async def test_what_was_answered_before_a_kill_is_on_record_after_it(tmp_path: Path) -> None:
    tally, rng = Tally(), cast.dice(1)
    done = [number async for number in chaos(tmp_path, ["opa", "pdp", "both", "opa"], rng, on_sqlite, tally)]
    assert tally.violations == []
    assert done == [1, 2, 3, 4]
    assert tally.kills == {"opa": 2, "pdp": 1, "both": 1}
    assert tally.counts["cut off"], "no kill met anything that was going on"
    assert tally.counts["answers checked"] > 50
    assert tally.counts["allow"]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.promise("fault.soak")
async def test_while_parts_break_every_answer_is_right_or_a_deny(tmp_path: Path) -> None:
    soaked = await soak(tmp_path, SOAKED_S, 2, print)
    assert {what: soaked.verdicts.examples[what] for what in MUST_NOT if soaked.verdicts.counts[what]} == {}
    assert soaked.verdicts.counts["as expected"] > 50
    assert soaked.faults.total() > 0
    assert {sample.part for sample in soaked.samples} == {"pdp", "opa"}


async def told(ledger: Ledger, body: dict[str, Any], kind: str = "decision") -> dict[str, Any]:
    """Write a record and return the answer that belongs to it."""
    log = Log(ledger.data_dir / "log" / "0", system_clock)
    receipt = await log.append(kind, body, durable=False, deadline=float("inf"))
    await log.close()
    known = {"origin": receipt.origin, "index": receipt.index, "entry_digest": receipt.entry_digest}
    return {"id": body.get("id"), "decision": body.get("decision"), "receipt": known}


@pytest.mark.promise("fault.chaos")
async def test_an_answer_that_is_not_on_record_as_it_was_given_is_a_violation(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    good = await told(ledger, {"id": "dec_1", "decision": "allow"})
    ledger.told(good)
    ledger.check()
    assert (ledger.violations, ledger.checked) == ([], 1)
    behind = {**good["receipt"], "index": 1}
    wrong = [{**good, "receipt": behind}, {**good, "decision": "deny"}, {**good, "id": "dec_2"}]
    wrong += [{**good, "receipt": {**good["receipt"], "entry_digest": "sha256:0"}}, {**good, "receipt": None}]
    for number, answer in enumerate(wrong, 1):
        ledger.told(answer)
        ledger.check()
        assert len(ledger.violations) == number, answer


@pytest.mark.promise("fault.chaos")
async def test_an_approval_that_lets_two_calls_run_or_runs_unrecorded_is_a_violation(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    await told(ledger, {"id": "apr_1", "decision": "dec_1"}, "approval.spent")
    await told(ledger, {"id": "dec_1", "decision": "allow", "approval": "apr_1"})
    ledger.check()
    assert ledger.violations == []
    await told(ledger, {"id": "dec_2", "decision": "allow", "approval": "apr_1"})
    ledger.check()
    assert len(ledger.violations) == 2, "twice, and the second time without being used up"


@pytest.mark.promise("fault.soak")
def test_around_a_change_the_old_and_the_new_are_right_and_then_the_new_alone() -> None:
    truth = Truth(stopped={("agent", cast.STOPPABLE): Fact(False)})
    stopped = truth.stopped["agent", cast.STOPPABLE]
    stopped.changes(True, 10.0)
    stopped.settled(12.0)
    assert truth.right(READ, 8.0, 9.0) == {"allow"}
    assert truth.right(READ, 9.0, 10.5) == truth.right(READ, 11.9, 30.0) == {"allow", "deny"}
    assert truth.right(READ, 12.1, 30.0) == {"deny"}


@pytest.mark.promise("fault.soak")
@pytest.mark.parametrize(
    ("status", "body", "counted"),
    [
        (200, {"decision": "allow"}, "wrong allows"),
        (200, {"decision": "deny", "reasons": [{"code": "identity.revoked"}]}, "as expected"),
        (200, {"decision": "needs_approval", "reasons": [{"code": "gates.amount"}]}, "wrong otherwise"),
        (200, {"decision": "needs_approval", "reasons": [{"code": "engine.timeout"}]}, "wrong otherwise"),
        (503, {"decision": "deny"}, "turned away"),
        (503, {"decision": "allow"}, "problems"),
        (429, {}, "problems"),
    ],
)
def test_an_answer_about_who_is_stopped_counts_as_what_it_is(status: int, body: dict[str, Any], counted: str) -> None:
    there = cast.Cast(Home(Path(), "", Idp(system_clock())), {}, {}, {})
    truth = Truth(stopped={("agent", cast.STOPPABLE): Fact(True)})
    loop = OpenLoop(there, 0, truth, cast.dice(1))
    loop.judge(READ, Reply(status, body), 1.0, 2.0)
    assert loop.verdicts.counts[counted] == 1


def line(pid: int, span: range, mb: float, mb_a_second: float = 0, files: int = 20) -> list[Sample]:
    """Return samples of one process, two seconds apart, whose memory grows evenly."""
    return [Sample(at, "pdp", pid, mb + mb_a_second * (at - span.start), files, 5) for at in span[::2]]


@pytest.mark.promise("fault.soak")
def test_memory_that_grows_is_found_and_a_new_process_that_starts_small_is_no_shrinking() -> None:
    flat = trend("pdp", line(1, range(800), 60) + line(2, range(800, 1200), 40), 1200)
    assert (flat.mb_per_hour, flat.grown) == (0, "")
    growing = trend("pdp", line(3, range(1200), 150, 0.02), 1200)
    assert (round(growing.mb_per_hour), growing.grown) == (72, "memory by 16.0 MB")
    assert trend("pdp", line(3, range(60), 150, 1), 60).grown == "", "too short to be judged"
    leaking = line(3, range(800), 150) + line(3, range(800, 1200), 150, files=60)
    assert trend("pdp", leaking, 1200).grown == "open files by 40"
