"""`pdp why` on the log of a running service: judged again, explained, and loud about a log that was changed."""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import REFUSALS
from pdp.policy.archive import read_archive, write_archive
from pdp.policy.explain import floor_of
from pdp.policy.patch import Op
from tests.flow.test_operator_commands import pdp
from tests.policy.rules import PROBED, rule, write
from tests.policy.test_flips import applied
from tests.service import running

pytestmark = pytest.mark.promise("policy.why")
DELETE = ("delete_customer", {"customer": "c-1"})


def why(folder: Path, answer: dict[str, Any], *flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `pdp why` on a decision."""
    return pdp(folder, "why", answer["id"], *flags, **environ)


def told(folder: Path, answer: dict[str, Any], *flags: str) -> Any:
    """Return what `pdp why --json` says of a decision that it can explain."""
    done = why(folder, answer, "--json", *flags)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def log_files(folder: Path) -> list[Path]:
    """Return the segments of the service's own log."""
    return sorted(path for path in (folder / "log" / "0").iterdir() if path.is_file() and path.stat().st_size)


@pytest.mark.slow
async def test_what_the_policy_in_force_says_of_each_change_is_what_why_said(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        answers = [
            await bench.ask(*DELETE),
            await bench.ask("create_refund", {"order": "o-1", "amount": 20000}),
            await bench.ask("create_refund", {"order": "o-1", "amount": 5001}),
            await bench.ask("get_order"),
        ]
        engine = bench.service.world.policy.active.engine
        for answer in answers:
            explained = told(tmp_path, answer, "--all")
            assert explained["replayed"]["decision"] == answer["decision"]
            assert not explained["replayed"]["differs"]
            flips = [flip for sort in ("flips", "hangs_on") for flip in (explained[sort] or {"flips": []})["flips"]]
            assert flips
            for flip in flips:
                changed = json.dumps(applied_json(explained["record"]["input"], flip["patch"])).encode()
                verdict = json.loads(await engine.evaluate("pdp/decision/verdict", changed, 1e12))
                assert verdict["effect"] == flip["becomes"] != answer["decision"]


def applied_json(document: Any, patch: list[dict[str, Any]]) -> Any:
    """Apply a patch as it stands in the JSON answer."""
    return applied(document, [Op(**op) for op in patch])


async def test_a_person_reads_which_rule_decided_on_which_facts_and_what_would_help(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        large = await bench.ask("create_refund", {"order": "o-1", "amount": 5001})
    shown = why(tmp_path, large).stdout
    assert "judged again by that policy: the same answer" in shown
    assert "gates.amount is not open: A large amount needs a human's yes" in shown
    assert 'read     arguments = {"order": "o-1", "amount": 5001}' in shown
    assert "value    gates.amount.open_up_to = 5000" in shown
    assert "owner    finance  (gates/amount.rego)" in shown
    assert "allow          arguments.amount is 5000 instead of 5001" in shown
    assert "allow          a human approves gates.amount" in shown


@pytest.mark.slow
async def test_a_call_refused_before_policy_is_told_its_step_and_its_check(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        wiki = await bench.ask(token=bench.token(aud="https://wiki.example"))
        strange = await bench.ask("get_nothing")
    refused = told(tmp_path, wiki)
    assert refused["floor"]["step"] == "identify"
    assert any("audience" in check for check in refused["floor"]["checks"])
    assert "replayed" not in refused
    assert told(tmp_path, strange)["floor"]["step"] == "vet"
    assert "refused outside the policy: none of its rules decided this" in why(tmp_path, strange).stdout


def test_every_refusal_of_the_service_has_its_step() -> None:
    """Rules and adapters have codes too: those of rules are judged again, those of adapters are in no decision."""
    elsewhere = {"adapter", "pdp", "audit", "duties", "permits"}
    steps = {code: floor_of(code) for code in REFUSALS if code.partition(".")[0] not in elsewhere}
    assert [code for code, floor in steps.items() if floor is None] == []
    denied = floor_of("approvals.denied")
    assert denied
    assert denied.step == "settle"


async def test_a_record_that_was_changed_is_said_loudly_and_fails(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        denied = await bench.ask("create_refund", {"order": "o-1", "amount": 20000})
    for path in log_files(tmp_path):
        path.write_bytes(path.read_bytes().replace(b'"amount":20000', b'"amount":20'))
    done = why(tmp_path, denied)
    assert done.returncode == 1
    assert "CHANGED    The policy of that revision answers otherwise on the recorded input: decision" in done.stdout
    assert "judged again by that policy: ALLOW  permits.person_entitled" in done.stdout
    assert "would help" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a rule", "another policy"])
async def test_an_archive_that_was_changed_is_said_loudly_and_fails(tmp_path: Path, what: str) -> None:
    async with running(tmp_path) as bench:
        large = await bench.ask("create_refund", {"order": "o-1", "amount": 5001})
    (bundle,) = (tmp_path / "policy").glob("*.tar.gz")
    if what == "a rule":
        files = read_archive(bundle)
        files["gates/amount.rego"] = files["gates/amount.rego"].replace(b"open_up_to,", b"open_up_to + 9999,")
        bundle.write_bytes(write_archive(files))
    else:
        org = write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 9999}}"})
        built = pdp(tmp_path, "policy", "build", "--output", str(bundle), PDP_ORG_DIR=str(org))
        assert built.returncode == 0, built.stderr
    done = why(tmp_path, large)
    assert done.returncode == 1
    assert "CHANGED" in done.stdout
    assert ("it was changed after it was built" if what == "a rule" else "holds the policy sha256:") in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
async def test_a_bundle_that_is_no_bundle_any_more_is_said_loudly(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        large = await bench.ask(*DELETE)
    (bundle,) = (tmp_path / "policy").glob("*.tar.gz")
    bundle.write_bytes(gzip.compress(b"nothing"))
    done = why(tmp_path, large)
    assert (done.returncode, "CHANGED" in done.stdout) == (1, True)


@pytest.mark.slow
async def test_a_masked_value_that_a_rule_reads_is_the_reason_named(tmp_path: Path) -> None:
    org = write(
        tmp_path / "org",
        {
            "guards/our_own.rego": rule(
                "guards",
                "our_own",
                'import data.lib.text\n\nholds if text.one_of(input.arguments.customer, ["c-1"])\n\n'
                + PROBED["guards"],
            ).replace("good: {tool: {name: x}}", "good: {arguments: {customer: c-1}}"),
        },
    )
    async with running(tmp_path / "pdp", org_dir=org) as bench:
        known = await bench.ask("get_customer", {"customer": "c-1"})
    assert known["decision"] == "allow"
    done = why(tmp_path / "pdp", known)
    assert done.returncode == 0, done.stderr
    assert "masked in the log, so this proves nothing: /arguments/customer" in done.stdout
    assert "CHANGED" not in done.stdout
    explained = told(tmp_path / "pdp", known)
    assert explained["replayed"]["masked"] == ["/arguments/customer"]
    assert explained["flips"] is None


@pytest.mark.slow
async def test_a_gate_that_a_masked_guard_left_unheard_is_no_sign_of_tampering(tmp_path: Path) -> None:
    org = write(
        tmp_path / "org",
        {
            "guards/our_odd.rego": rule(
                "guards", "our_odd", "holds if is_object(input.arguments.customer)\n\n" + PROBED["guards"]
            ),
            "gates/our_gate.rego": rule(
                "gates", "our_gate", 'open if input.tool.name == "another"\n\n' + PROBED["gates"]
            ),
        },
    )
    async with running(tmp_path / "pdp", org_dir=org) as bench:
        denied = await bench.ask("get_customer", {"customer": "c-1"})
    assert [reason["code"] for reason in denied["reasons"]] == ["guards.our_odd"]
    explained = told(tmp_path / "pdp", denied)
    assert (explained["replayed"]["decision"], explained["changed"]) == ("needs_approval", "")
    assert explained["replayed"]["masked"] == ["/arguments/customer"]


@pytest.mark.slow
async def test_without_an_opa_the_record_is_told_and_why_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        large = await bench.ask(*DELETE)
    done = why(tmp_path, large, PDP_OPA_BINARY=str(tmp_path / "no-opa"))
    assert done.returncode == 0, done.stderr
    assert "not judged again" in done.stdout
    assert "gates.destructive as it stood at that revision" in done.stdout


@pytest.mark.slow
async def test_it_is_judged_by_the_policy_of_its_time_not_by_that_of_today(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        large = await bench.ask("create_refund", {"order": "o-1", "amount": 5001})
    org = write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 9999}}"})
    async with running(tmp_path / "other", org_dir=org) as bench:
        small = await bench.ask("create_refund", {"order": "o-1", "amount": 5001})
    assert small["decision"] == "allow"
    done = why(tmp_path, large, PDP_ORG_DIR=str(org))
    assert "value    gates.amount.open_up_to = 5000" in done.stdout
