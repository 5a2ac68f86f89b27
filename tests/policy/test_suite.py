"""The tests of an org folder: run on what would be loaded, and a test that tests nothing is a problem."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.policy.compiler import Compiler
from pdp.policy.draft import draft
from pdp.policy.pack import build_pack
from pdp.policy.sources import own_tests
from pdp.policy.suite import Suite, lay_out, run_suite
from tests.policy.rules import write

pytestmark = pytest.mark.promise("policy.check")
GUARD = draft("guard", "mine")
RULE, TEST = "guards/mine.rego", "guards/mine_test.rego"
HEAD = "package guards.mine_test\n\nimport data.guards.mine\n\n"
Run = Callable[[str, str | None], Suite]


@pytest.fixture
def run(opa: Path, source: Path, tmp_path: Path) -> Run:
    """Return what runs the tests of the drafted guard `mine` with one file of it changed."""

    def run(name: str, text: str | None) -> Suite:
        files = {path: other for path, other in GUARD.items() if path != name}
        org = write(tmp_path / "org", files | ({name: text} if text is not None else {}))
        pack = build_pack(opa, source, org, tmp_path / "built")
        tests = own_tests(source, org)
        lay_out(pack, tests, tmp_path / "laid")
        return run_suite(Compiler(opa), tmp_path / "laid", source / "capabilities.json", pack, tests)

    return run


def test_the_tests_of_a_draft_reach_every_line_of_it(run: Run) -> None:
    suite = run(TEST, GUARD[TEST])
    assert (suite.problems, suite.ran, suite.covered, [*suite.unreached]) == ([], 5, 100.0, [])


def test_the_tests_see_the_values_of_the_organisation(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 7}}"})
    suite = run(TEST, f"{HEAD}test_it if data.config.gates.amount.open_up_to == 7\n")
    assert suite.problems == []


def test_a_rule_that_is_edited_alone_fails_its_test(run: Run) -> None:
    text = GUARD[RULE].replace('contains_all(input.caller.person.groups, ["mine"])', "of_text([])")
    suite = run(RULE, text)
    assert any("test_it_is_for_nobody_else fails" in problem.what for problem in suite.problems)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "The rule has no test."),
        ("package guards.mine\n\ntest_x if true\n", "its package are not the same"),
        ("package guards.mine_test\n\nx := 1\n", "There is no test in this file."),
        ("package guards.mine_test\n\ntest_x if {\n", "unexpected eof"),
        ("package guards.mine_test\n\ntest_x if time.now_ns() > 0\n", "undefined function time.now_ns"),
        ("package guards.mine_test\n\ntodo_test_x if true\n", "todo_test_x is skipped."),
    ],
)
def test_a_test_that_tests_nothing_is_a_problem(text: str | None, says: str, run: Run) -> None:
    problems = run(TEST, text).problems
    assert any(re.search(says, problem.what) and problem.instead for problem in problems), problems
    assert all(problem.file.startswith("org/guards/mine") for problem in problems)


def test_a_line_no_test_reaches_is_named(run: Run) -> None:
    suite = run(TEST, HEAD + 'test_x if mine.holds with input as {"tool": {"labels": []}}\n')
    assert suite.problems == []
    assert [(hint.what, hint.line) for hint in suite.unreached] == [("No test reaches this line.", 23)]
    assert suite.covered < 100
