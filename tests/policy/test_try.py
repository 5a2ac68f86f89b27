"""`pdp try`: what the rules say to tables of cases, to one call from flags, and to a recorded input."""

import json
from pathlib import Path

import msgspec
import pytest

from pdp.policy.draft import draft
from pdp.policy.pack import build_pack
from tests.policy.command import pdp
from tests.policy.rules import write
from tests.policy.test_cases import FILES, TABLES

pytestmark = pytest.mark.promise("policy.try")
REFUND = ("--tool", "payments/create_refund", "--class", "write", "--label", "/amount=money")


def test_the_tables_of_the_pack_come_out_as_they_say(tmp_path: Path) -> None:
    done = pdp("try", "--json", *FILES, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    said = json.loads(done.stdout)
    assert [one["case"] for one in said["cases"]] == [row.case for table in TABLES for row in table.cases]
    assert all(one["ok"] and one["line"] for one in said["cases"])
    assert said["problems"] == []


def test_a_table_reads_like_a_table(tmp_path: Path) -> None:
    org = write(tmp_path / "org", draft("guard", "exports"))
    done = pdp("try", "org/cases/exports.yaml", cwd=tmp_path, PDP_ORG_DIR=str(org))
    head, first, second, third, last = done.stdout.splitlines()
    assert head.split() == ["case", "who", "tool", "expected", "got", "because,", "duties"]
    assert first == "ok  somebody in the group     alice  files/export  allow     allow"
    assert second == "ok  somebody else             bob    files/export  deny      deny   guards.exports"
    assert third.startswith("ok  a tool without the label")
    assert last.startswith("3 cases, all as expected.")
    assert done.returncode == 0


def test_a_case_that_comes_out_otherwise_is_marked_named_and_counted(tmp_path: Path) -> None:
    text = draft("guard", "exports")["cases/exports.yaml"]
    write(tmp_path, {"mine.yaml": text})  # and no guard of this name
    done = pdp("try", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 1
    marks = [line[:2] for line in done.stdout.splitlines()]
    assert marks[1:4] == ["ok", "NO", "ok"]
    assert (
        "mine.yaml:12: The case 'somebody else' comes out as allow; the table says deny because of guards.exports"
        in done.stdout
    )
    assert "3 cases, 1 problem." in done.stdout


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_run(tmp_path: Path) -> None:
    write(tmp_path, {"bad.yaml": "tools: {}\ncases: [{case: x, tool: a/b, expect: maybe}]"})
    done = pdp("try", "--json", "bad.yaml", FILES[0], cwd=tmp_path)
    said = json.loads(done.stdout)
    assert done.returncode == 1
    assert [problem["file"] for problem in said["problems"]] == ["bad.yaml"]
    assert len(said["cases"]) == len(TABLES[0].cases)


def test_one_call_is_told_with_titles_and_remedies(tmp_path: Path) -> None:
    flags = ("--person", "alice", "--role", "refunder", "--arg", "amount=5001", "--risk", "30")
    done = pdp("try", *REFUND, *flags, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "NEEDS_APPROVAL  alice  payments/create_refund  2026-01-05T10:00:00Z",
        "permitted  permits.person_entitled: The person holds a right to this call",
        "because    gates.amount: A large amount needs a human's yes",
        "           Ask for approval, or call with a smaller amount.",
        "assumed    alice holds a right to payments/create_refund",
    ]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("flags", "effect", "codes"),
    [
        (("--person", "a", "--arg", "amount=5"), "allow", []),
        (("--person", "a", "--arg", "amount=5001", "--approved", "gates.amount"), "allow", []),
        (("--person", "a", "--arg", "amount=five"), "deny", ["guards.arguments_in_bounds"]),
        (("--person", "a", "--arg", 'amount="5"'), "deny", ["guards.arguments_in_bounds"]),
        (("--person", "a", "--arg", "amount=5", "--risk", "99"), "deny", ["guards.risk_ceiling"]),
        (("--person", "a", "--arg", "amount=5", "--lacking", "right"), "deny", ["permits.none"]),
        (("--person", "a", "--arg", "amount=5", "--scope", "s"), "allow", []),
        (("--person", "a", "--arg", "amount=5", "--scope", "s", "--lacking", "scopes"), "deny", ["guards.token_scope"]),
        (("--person", "a", "--agent", "b", "--arg", "amount=5"), "allow", []),
        (
            ("--person", "a", "--agent", "b", "--arg", "amount=5", "--lacking", "ceiling"),
            "deny",
            ["guards.agent_ceiling"],
        ),
        (("--agent", "b", "--arg", "amount=5"), "allow", []),
        (("--agent", "b", "--arg", "amount=5", "--impact", "read"), "deny", ["guards.impact_within"]),
    ],
)
def test_a_call_from_flags_is_decided_by_what_they_say(
    flags: tuple[str, ...], effect: str, codes: list[str], tmp_path: Path
) -> None:
    done = pdp("try", "--json", *REFUND, *flags, "--expect", effect, cwd=tmp_path)
    said = json.loads(done.stdout)
    assert (done.returncode, said["effect"]) == (0, effect)
    assert [reason["code"] for reason in said["reasons"]] == codes


@pytest.mark.slow
def test_a_deny_also_tells_the_gates_that_would_have_asked(tmp_path: Path) -> None:
    flags = ("--person", "a", "--arg", "amount=5001", "--risk", "99")
    done = pdp("try", *REFUND, *flags, cwd=tmp_path)
    assert "because    guards.risk_ceiling:" in done.stdout
    assert "besides    gates.amount: A large amount needs a human's yes" in done.stdout


@pytest.mark.slow
def test_calls_are_tried_on_the_bundle_that_the_service_would_load(tmp_path: Path, opa: Path, source: Path) -> None:
    strict = write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 1}}"})
    bundle = str(build_pack(opa, source, strict, tmp_path / "built").bundle)
    done = pdp("try", *REFUND, "--person", "a", "--arg", "amount=2", "--json", cwd=tmp_path, PDP_POLICY_BUNDLE=bundle)
    assert json.loads(done.stdout)["effect"] == "needs_approval", done.stderr


def test_duties_are_told(tmp_path: Path) -> None:
    done = pdp("try", "--tool", "crm/read", "--label", "personal", "--person", "a", cwd=tmp_path)
    assert 'owed       {"pointers": ["/date_of_birth", "/ssn"], "type": "redact"}' in done.stdout


@pytest.mark.slow
def test_what_was_not_expected_is_exit_status_1(tmp_path: Path) -> None:
    done = pdp("try", *REFUND, "--person", "a", "--arg", "amount=5001", "--expect", "allow", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "pdp: allow is expected, it is needs_approval.\n")


@pytest.mark.slow
def test_a_recorded_input_is_tried_as_it_was(tmp_path: Path) -> None:
    table = TABLES[0]
    for row in table.cases[:2]:
        document = msgspec.to_builtins(table.input_of(row))
        for wrapped in (document, {"input": document}, {"record": {"input": document}}):
            (tmp_path / "call.json").write_text(json.dumps(wrapped))
            done = pdp("try", "--input", "call.json", "--json", cwd=tmp_path)
            assert json.loads(done.stdout)["effect"] == row.expect
            assert json.loads(done.stdout)["input"] == document


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"record": {}}', '{"input": 5}'])
def test_a_file_without_a_policy_input_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "call.json").write_text(text)
    done = pdp("try", "--input", "call.json", cwd=tmp_path)
    assert done.returncode == 1
    assert "call.json holds no policy input" in done.stderr


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--tool", "payments/x"), "neither a person nor an agent"),
        (("--tool", "payments", "--person", "a"), "--tool is SERVER/TOOL"),
        (("--tool", "p/x", "--person", "a", "--arg", "amount"), "--arg is NAME=VALUE"),
        (("--tool", "p/x", "--person", "a", "--label", "/amount"), "--label is NAME=VALUE"),
        (("--tool", "p/x", "--person", "a", "--at", "tomorrow"), "make no call"),
        ((), "Give tables of cases, or one --tool, or one --input"),
        (("--tool", "p/x", "no.yaml"), "no.yaml"),
    ],
)
def test_flags_that_make_no_call_are_refused_with_a_sentence(flags: tuple[str, ...], says: str, tmp_path: Path) -> None:
    done = pdp("try", *flags, cwd=tmp_path)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
