"""`pdp check`: all that is checked before rules go live, said a line a problem, and green only when all is well."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdp.policy.draft import draft
from pdp.policy.pack import Pack
from tests.policy.command import pdp
from tests.policy.rules import rule, write

pytestmark = [pytest.mark.promise("policy.check"), pytest.mark.timeout(200)]  # 2 s each on a quiet machine
GUARD = draft("guard", "mine")
Said = Callable[..., dict[str, Any]]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """Return what checks an org folder with the drafted guard `mine`, one file of it changed, and reads the JSON."""

    def check(name: str = "guards/mine.rego", text: str | None = GUARD["guards/mine.rego"]) -> dict[str, Any]:
        files = {path: other for path, other in GUARD.items() if path != name}
        org = write(tmp_path / "org", files | ({name: text} if text is not None else {}))
        done = pdp("check", "--json", cwd=tmp_path, PDP_ORG_DIR=str(org))
        report: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) is report["ok"] is (report["problems"] == []), done.stderr
        return report

    return check


@pytest.mark.slow
def test_the_pack_alone_is_well(pack: Pack, tmp_path: Path) -> None:
    done = pdp("check", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert (report["revision"], report["rules"]) == (pack.revision, sorted(pack.rules))
    assert (report["own"], report["problems"], report["hints"]) == ([], [], [])
    assert list(tmp_path.iterdir()) == []


def test_it_is_one_command_under_two_names(tmp_path: Path) -> None:
    first, second = pdp("check", "--help", cwd=tmp_path), pdp("policy", "check", "--help", cwd=tmp_path)
    assert first.stdout.partition("\n")[2] == second.stdout.partition("\n")[2] != ""


@pytest.mark.slow
def test_people_get_a_line_a_problem_and_one_that_sums_up(tmp_path: Path) -> None:
    bad = "holds if input.risk.score < 80\n\nholds if not input.tool.name"
    org = write(tmp_path / "org", {"guards/mine.rego": rule("guards", "mine", bad)})
    done = pdp("check", cwd=tmp_path, PDP_ORG_DIR=str(org))
    assert done.returncode == 1
    less, negated, last = done.stdout.splitlines()
    assert less.startswith("org/guards/mine.rego:13: `<` is not in the safe form. Use number.at_most")
    assert negated.startswith("org/guards/mine.rego:15: `not` holds when the fact is missing. Say what must be there")
    assert re.fullmatch(r"2 problems: correct them before this goes live\. \d+\.\d s", last)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_summary_counts_what_was_run(tmp_path: Path) -> None:
    done = pdp("check", cwd=tmp_path, PDP_ORG_DIR=str(write(tmp_path / "org", GUARD)))
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if not line.startswith("NOT LINTED")]
    said = r"All well: \d+ rules \(1 yours\), 5 tests, 100 % covered, 3 cases\. \d+\.\d s  sha256:[0-9a-f]{64}"
    assert re.fullmatch(said, line)


@pytest.mark.slow
def test_files_are_named_so_that_an_editor_finds_them(tmp_path: Path) -> None:
    bad = {"guards/mine.rego": rule("guards", "mine", "holds if not input.x")}
    org = write(tmp_path / "far" / "rules", bad)
    (tmp_path / "here").mkdir()
    done = pdp("check", "--json", cwd=tmp_path / "here", PDP_ORG_DIR=str(org))
    assert {p["file"] for p in json.loads(done.stdout)["problems"]} == {str(org / "guards/mine.rego")}
    done = pdp("check", "--json", cwd=tmp_path, PDP_ORG_DIR=str(org))
    assert {p["file"] for p in json.loads(done.stdout)["problems"]} == {"far/rules/guards/mine.rego"}


@pytest.mark.slow
def test_new_permits_and_duties_are_named_for_review_and_guards_are_not(tmp_path: Path) -> None:
    files = GUARD | draft("permit", "wider") | draft("duty", "owed") | draft("gate", "asked")
    done = pdp("check", "--json", cwd=tmp_path, PDP_ORG_DIR=str(write(tmp_path / "org", files)))
    report = json.loads(done.stdout)
    assert report["own"] == ["duties.owed", "gates.asked", "guards.mine", "permits.wider"]
    assert report["review"] == ["duties.owed", "permits.wider"]
    done = pdp("check", cwd=tmp_path, PDP_ORG_DIR=str(tmp_path / "org"))
    assert "review: permits.wider: The role wider may call tools labelled wider" in done.stdout
    assert "2 new permits and duties: look at these" in done.stdout


@pytest.mark.slow
def test_a_test_that_fails_is_a_problem_at_its_line(said: Said) -> None:
    text = GUARD["guards/mine_test.rego"] + "\ntest_mine if mine.holds with input as {}\n"
    (problem,) = said("guards/mine_test.rego", text)["problems"]
    assert problem["file"] == "org/guards/mine_test.rego"
    assert problem["line"] == text.count("\n")
    assert problem["what"] == "test_mine fails: not everything in it is true."


def test_a_case_that_comes_out_otherwise_is_a_problem_at_its_line(said: Said) -> None:
    text = GUARD["cases/mine.yaml"].replace("expect: deny, because: [guards.mine]", "expect: allow")
    (problem,) = said("cases/mine.yaml", text)["problems"]
    assert (problem["file"], problem["line"]) == ("org/cases/mine.yaml", 12)
    assert "comes out as deny because of guards.mine; the table says allow." in problem["what"]


@pytest.mark.slow
def test_a_table_that_cannot_be_read_is_a_problem(said: Said) -> None:
    (problem,) = said("cases/other.yaml", "tools: [")["problems"]
    assert (problem["file"], problem["line"]) == ("org/cases/other.yaml", 2)


@pytest.mark.slow
def test_a_file_among_the_cases_that_is_never_run_is_a_problem(said: Said) -> None:
    (problem,) = said("cases/other.yml", "x")["problems"]
    assert problem["file"] == "org/cases/other.yml"
    assert "Only decision tables" in problem["what"]


@pytest.mark.slow
def test_a_form_that_is_not_opas_is_a_hint(said: Said) -> None:
    report = said("guards/mine.rego", GUARD["guards/mine.rego"].replace("holds if list", "holds if    list"))
    assert report["problems"] == []
    assert [hint["what"] for hint in report["hints"]] == ["The file is not formatted."]
    assert "opa fmt --write" in report["hints"][0]["instead"]


@pytest.mark.slow
def test_regal_lints_the_own_rules_and_tests(regal: Path, said: Said) -> None:
    text = GUARD["guards/mine_test.rego"] + "\ntest_nothing if 1 == 1\n"
    assert said()["not_linted"] == ""
    (problem,) = said("guards/mine_test.rego", text)["problems"]
    assert "Regal: bugs/constant-condition" in problem["what"]


@pytest.mark.slow
def test_without_regal_it_says_loudly_that_nothing_was_linted(tmp_path: Path) -> None:
    org = write(tmp_path / "org", GUARD)
    done = pdp("check", cwd=tmp_path, PDP_ORG_DIR=str(org), PDP_REGAL_BINARY=str(tmp_path / "none"))
    assert done.returncode == 0
    assert re.search(r"^NOT LINTED: .*none", done.stdout, re.MULTILINE)
