"""`pdp policy diff`: the rules that differ, and the answers that change for people, agents and tools, on a real log."""

import asyncio
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.audit.log import Log
from pdp.policy.archive import read_archive
from pdp.policy.keys import read_signing_key
from pdp.policy.pack import Pack, build_pack, default_pack_dir
from pdp.policy.recorded import decisions_of
from pdp.policy.sides import Places
from pdp.policy.sign import sign
from tests.conftest import ROOT, FakeClock
from tests.flow.test_operator_commands import pdp
from tests.policy.rules import rule, write
from tests.policy.signing import MAKE, private_key, saved
from tests.service import Bench, running

pytestmark = pytest.mark.promise("policy.diff")
LOWER = {"config.yaml": "gates: {amount: {open_up_to: 1000}}"}
SHARED_WORD = "lib/list.rego"


def diff(folder: Path, *arguments: str, **environ: str) -> tuple[int, Any]:
    """Run `pdp policy diff --json` and return its exit status and what it says."""
    done = pdp(folder, "policy", "diff", *arguments, "--json", **environ)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def shifts(impact: Any) -> dict[tuple[str, str], Any]:
    """Return what moves, by the answers before and after."""
    return {(shift["before"], shift["after"]): shift for shift in impact["shifts"]}


async def later(bench: Bench, clock: FakeClock, *, minutes: int) -> None:
    """Let time pass, and what is followed be looked at again."""
    clock.advance(minutes * 60)
    for follower in (bench.service.peps, bench.service.world.people, bench.service.world.tools):
        await follower.poll()


def text(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `pdp policy diff` for a person."""
    return pdp(folder, "policy", "diff", *arguments, **environ)


@pytest.mark.slow
def test_a_policy_does_not_differ_from_itself(tmp_path: Path) -> None:
    status, told = diff(tmp_path, "shipped", str(default_pack_dir()))
    assert status == 0
    assert told["differences"] == {"rules": [], "shared": [], "values": [], "touched": []}
    assert (told["cases"]["shifts"], told["decisions"]["asked"]) == ([], 0)
    assert told["cases"]["asked"] > 40
    assert told["revisions"][0] == told["revisions"][1]
    assert "no rule, word or value differs" in text(tmp_path, "shipped", "shipped").stdout


async def test_a_lower_limit_names_who_would_have_to_ask_and_how_much_more_often(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with running(tmp_path, clock) as bench:
        asked = []
        for amount in (400, 1000, 1001, 4000, 5001, 20000):
            asked.append(await bench.ask("create_refund", {"order": "o-1", "amount": amount}))
            await later(bench, clock, minutes=30)
        await bench.ask("get_order")
    status, told = diff(tmp_path, "shipped", str(write(tmp_path / "org", LOWER)))
    assert status == 1
    assert told["differences"]["values"] == [{"path": ["gates", "amount", "open_up_to"], "before": 5000, "after": 1000}]
    assert told["differences"]["touched"] == ["gates.amount"]
    assert told["decisions"]["asked"] == 7
    (moved,) = told["decisions"]["shifts"]
    assert (moved["before"], moved["after"], moved["count"]) == ("allow", "needs_approval", 2)
    assert moved["codes"] == {"gates.amount": 2}
    assert moved["people"] == {"alice": 2}
    assert moved["tools"] == {"payments/create_refund": 2}
    assert {example["name"] for example in moved["examples"]} == {asked[2]["id"], asked[3]["id"]}
    approvals = told["decisions"]["approvals"]
    assert (approvals["before"], approvals["after"]) == (1, 3)
    assert (approvals["gates"], approvals["owners"]) == ({"gates.amount": 2}, {"finance": 2})
    assert approvals["more_a_day"] == 2 * 24 / 3
    assert told["cases"]["unexpected"], "a case of the shipped tables allows 5000"


@pytest.mark.slow
def test_what_was_denied_and_would_be_allowed_comes_first_and_loudest(tmp_path: Path) -> None:
    org = {
        "permits/our_staff_read.rego": rule(
            "permits", "our_staff_read", 'applies if input.tool.risk_class == "read"', "caller"
        ),
        "guards/our_small_only.rego": rule(
            "guards", "our_small_only", "import data.lib.number\n\nholds if number.at_most(input.arguments.amount, 10)"
        ),
    }
    with_permit = write(tmp_path / "permit", {name: body for name, body in org.items() if "permits" in name})
    status, told = diff(tmp_path, "shipped", str(with_permit))
    assert status == 1
    (added,) = told["differences"]["rules"]
    assert (added["code"], added["how"], added["review"]) == ("permits.our_staff_read", "added", True)
    assert next(iter(shifts(told["cases"]))) == ("deny", "allow")
    assert set(shifts(told["cases"])[("deny", "allow")]["codes"]) == {"permits.our_staff_read"}
    shown = text(tmp_path, "shipped", str(with_permit), "--text").stdout
    assert "WERE DENIED AND WOULD BE ALLOWED" in shown
    assert "REVIEW" in shown
    assert '+applies if input.tool.risk_class == "read"' in shown
    both = write(tmp_path / "both", org)
    moved = shifts(diff(tmp_path, "shipped", str(both))[1]["cases"])
    assert {("allow", "deny"), ("needs_approval", "deny")} <= moved.keys()
    back = shifts(diff(tmp_path, str(both), "shipped")[1]["cases"])
    assert {(after, before): shift["count"] for (before, after), shift in moved.items()} == {
        pair: shift["count"] for pair, shift in back.items()
    }


@pytest.mark.slow
def test_words_alone_change_no_answer_and_a_word_of_lib_names_the_rules_written_in_it(
    copied: Path, tmp_path: Path
) -> None:
    guard = copied / "guards" / "token_scope.rego"
    guard.write_text(guard.read_text().replace("# title: The token", "# title: A token"))
    status, told = diff(tmp_path, "shipped", str(copied))
    assert (status, [found["how"] for found in told["differences"]["rules"]]) == (0, ["words"])
    assert told["differences"]["touched"] == []
    word = copied / SHARED_WORD
    word.write_text(word.read_text().replace("every ", "some never in []\n\tevery ", 1))
    status, told = diff(tmp_path, "shipped", str(copied))
    (shared,) = told["differences"]["shared"]
    assert (shared["code"], shared["how"]) == ("lib.list", "changed")
    assert "guards.token_scope" in shared["used_by"]
    assert "guards.risk_ceiling" not in shared["used_by"]
    assert set(shared["used_by"]) == set(told["differences"]["touched"])


@pytest.mark.slow
async def test_a_bundle_a_revision_and_a_name_are_policies_too(tmp_path: Path, opa: Path, source: Path) -> None:
    org = write(tmp_path / "org", LOWER)
    async with running(tmp_path) as bench:
        await bench.ask("create_refund", {"order": "o-1", "amount": 2000})
        revision = bench.service.world.policy.active.pack.revision
    other = build_pack(opa, source, org, tmp_path / "built")
    places = Places(opa=opa, data_dir=tmp_path, policy_dir=None, org_dir=org, target=tmp_path / "target")
    for side in ("active", revision, revision[7:19], "shipped", str(source)):
        assert places.pack(side).revision == revision, side
    for side in ("configured", str(org), str(other.bundle)):
        assert places.pack(side).revision == other.revision, side
    key = read_signing_key(private_key(tmp_path / "us.pem", MAKE["ed"]()))
    signed = saved(tmp_path / "signed.tar.gz", sign(read_archive(other.bundle), key, bench.clock()))
    status, told = diff(tmp_path, "active", str(signed))
    assert (status, told["revisions"]) == (1, [revision, other.revision])
    _, served = diff(tmp_path, "active", "configured", PDP_POLICY_BUNDLE=str(signed))
    assert served["revisions"] == told["revisions"], "configured is what the service would load"
    assert [shift["count"] for shift in told["decisions"]["shifts"]] == [1]


@pytest.mark.parametrize(
    ("side", "says"),
    [
        ("nowhere", "is no policy"),
        ("sha256:0123456789", "restore its bundle"),
        ("active", "says which policy is active"),
        ("broken", "org/guards/mine.rego"),
    ],
)
def test_what_cannot_be_compared_is_exit_status_2_and_a_sentence(tmp_path: Path, side: str, says: str) -> None:
    write(tmp_path / "broken", {"guards/mine.rego": rule("guards", "mine", "holds if not input.risk.score")})
    status, said = diff(tmp_path, "shipped", side)
    assert status == 2
    assert says in said


@pytest.mark.slow
async def test_a_decision_whose_answer_hangs_on_a_masked_value_is_left_out_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.ask("get_customer", {"customer": "c-1"})
        await bench.ask("get_order")
    reads_it = {
        "guards/our_vip.rego": rule(
            "guards", "our_vip", 'import data.lib.text\n\nholds if text.one_of(input.arguments.customer, ["c-1"])'
        )
    }
    status, told = diff(tmp_path, "shipped", str(write(tmp_path / "reads", reads_it)))
    assert status == 1
    assert (told["decisions"]["asked"], told["decisions"]["left_out"]) == (1, 1)
    assert "1 left out, because a rule reads what the log masks" in text(tmp_path, "shipped", "reads").stdout
    _, told = diff(tmp_path, "shipped", str(write(tmp_path / "other", LOWER)))
    assert (told["decisions"]["asked"], told["decisions"]["left_out"]) == (2, 0)


@pytest.mark.slow
async def test_other_duties_are_another_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        await bench.ask("get_customer", {"customer": "c-1"})
    fewer = write(tmp_path / "org", {"config.yaml": "duties: {redact: {labels: {personal: [/ssn]}}}"})
    status, told = diff(tmp_path, "shipped", str(fewer))
    assert status == 1
    moved = shifts(told["decisions"])[("allow", "allow")]
    assert moved["kind"] == "other duties"
    (example,) = moved["examples"]
    assert (example["before"][0]["pointers"], example["after"][0]["pointers"]) == (["/date_of_birth", "/ssn"], ["/ssn"])


@pytest.mark.slow
def test_duties_that_a_deny_does_not_owe_hide_no_other_reason(tmp_path: Path) -> None:
    guard = {"guards/mine.rego": rule("guards", "mine", 'holds if input.tool.server == "pdp.probe"')}
    fewer = guard | {"config.yaml": "duties: {redact: {labels: {personal: [/ssn]}}}"}
    counts = [
        diff(tmp_path, "shipped", str(write(tmp_path / name, files)))[1]["cases"]["reasons"]
        for name, files in (("guard", guard), ("fewer", fewer))
    ]
    assert counts[0] == counts[1] > 0


async def record(folder: Path, pack: Pack, count: int, clock: FakeClock) -> None:
    """Write decisions into a log, as the service would: the calls of the tables, again and again, each at its time."""
    calls = [
        json.loads(msgspec.json.encode(table.input_of(row))) for table in pack.tables.values() for row in table.cases
    ]
    log = Log(folder / "log" / "0", clock)
    for number in range(count):
        clock.advance(1)
        call = calls[number % len(calls)]
        call = call | {"context": {"request_id": str(number)}}
        body = {
            "id": f"dec_{number:06}",
            "pep": "pep_test",
            "decision": "deny",
            "reasons": [],
            "revisions": {"policy": pack.revision},
            "tool": {"server": call["tool"]["server"], "name": call["tool"]["name"]},
            "caller": {"person": call["caller"].get("person", {}).get("id", "")},
            "input": call,
        }
        await log.append("decision", body, durable=False, deadline=1e12)
    await log.close()


@pytest.mark.slow
async def test_the_newest_decisions_are_asked_whatever_else_is_in_the_log(
    tmp_path: Path, pack: Pack, clock: FakeClock
) -> None:
    await record(tmp_path, pack, 30, clock)
    log = Log(tmp_path / "log" / "0", clock)
    for _ in range(200):
        await log.append("outcome", {"decision": "dec_0", "outcome": {}}, durable=False, deadline=1e12)
    await log.close()
    assert [question.name for question in decisions_of(tmp_path, 3)] == ["dec_000027", "dec_000028", "dec_000029"]
    assert len(decisions_of(tmp_path, 100)) == 30
    assert decisions_of(tmp_path, 0) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_many_decisions_are_asked_of_both_at_the_price_of_few(
    tmp_path: Path, pack: Pack, clock: FakeClock
) -> None:
    """Told in CPU time, which neighbours do not change. `DECISIONS=10000` shows what the largest diff takes."""
    many, few = int(os.environ.get("DECISIONS", "2000")), 200
    await record(tmp_path, pack, many, clock)
    org = write(tmp_path / "org", LOWER)
    few_s, many_s = [await diffed_s(tmp_path, org, number) for number in (few, many)]
    print(f"{many} decisions by two policies in {many_s:.1f} s of CPU, {few} in {few_s:.1f} s")
    assert many_s / many < few_s / few, "one costs no more where there are many"


async def diffed_s(data: Path, org: Path, last: int) -> float:
    """Return the CPU time, in seconds, of a diff over so many decisions."""
    command = [sys.executable, "-m", "pdp", "policy", "diff", "shipped", str(org), "--last", str(last), "--json"]
    environ = os.environ | {"PDP_DATA_DIR": str(data), "PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (process.returncode, json.loads(said)["decisions"]["asked"]) == (1, last)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
