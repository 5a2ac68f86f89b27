"""The mutation tool: it finds what a test does not notice, and nothing where every line is tested."""

from pathlib import Path

import pytest

from tests.mutants.mutate import Mutant, mutants
from tests.mutants.report import Equivalent, Score, read_equivalents
from tests.mutants.trial import Trials
from tests.policy.rules import write

pytestmark = pytest.mark.promise("policy.mutants")

RULE = """# METADATA
# title: Small
package guards.small

# input.risk.score < 5 in a comment is not mutated
holds if {
	input.risk.score <= 10
	input.tool.name == "refund"
	not input.tool.closed
}
"""
STRONG = """package guards.small_test

import data.guards.small

call(score, name, closed) := {"risk": {"score": score}, "tool": {"name": name, "closed": closed}}

test_all if {
	small.holds with input as call(10, "refund", false)
	small.holds with input as call(1, "refund", false)
	not small.holds with input as call(11, "refund", false)
	not small.holds with input as call(10, "other", false)
	not small.holds with input as call(10, "refund", true)
}
"""
WEAK = """package guards.small_test

import data.guards.small

test_some if small.holds with input as {"risk": {"score": 1}, "tool": {"name": "refund"}}
"""


def tried(opa: Path, folder: Path, tests: str, equivalents: list[Equivalent] | None = None) -> Score:
    """Return the score of a pack of one rule with these tests."""
    write(folder, {"guards/small.rego": RULE, "guards/small_test.rego": tests})
    trials, score = Trials(opa, folder, None, 2), Score(equivalents or [])
    with trials.ready():
        for outcome in trials.run(mutants(opa, folder, "guards/small.rego")):
            score.count(outcome)
    return score


def test_where_every_line_is_tested_every_mutant_dies(opa: Path, tmp_path: Path) -> None:
    score = tried(opa, tmp_path, STRONG)
    assert score.survivors == []
    assert score.made >= 15
    assert [*score.lines(["guards/small.rego"])][-1].startswith("mutants: 100.0 % killed")


def test_what_a_weak_test_does_not_notice_survives_and_is_shown(opa: Path, tmp_path: Path) -> None:
    score = tried(opa, tmp_path, WEAK)
    alive = {(mutant.kind, mutant.now) for mutant in score.survivors}
    assert ("drop", "true") in alive
    assert ("flip", "input.risk.score < 10") in alive
    assert score.percent < 95
    shown = "\n".join(score.lines(["guards/small.rego"]))
    assert "guards/small.rego:7: flip: input.risk.score <= 10   =>   input.risk.score < 10" in shown
    assert "NO REASON" in shown


def test_every_kind_of_mutant_is_made_and_no_comment_is_touched(opa: Path, tmp_path: Path) -> None:
    write(tmp_path, {"guards/small.rego": RULE})
    made = mutants(opa, tmp_path, "guards/small.rego")
    assert {mutant.kind for mutant in made} == {"drop", "flip", "swap", "negate", "rename"}
    head = RULE[: RULE.index("holds if")]
    assert all(mutant.text.startswith(head) for mutant in made)
    assert len({mutant.text for mutant in made}) == len(made)


def test_a_survivor_that_means_the_same_needs_a_reason_that_fits_exactly(opa: Path, tmp_path: Path) -> None:
    flip = Equivalent("guards/small.rego", "holds", "input.risk.score <= 10", "input.risk.score < 10", "It is known.")
    stale = Equivalent("guards/small.rego", "holds", "input.risk.score <= 11", "input.risk.score < 11", "It was known.")
    elsewhere = Equivalent("guards/other.rego", "holds", "x", "y", "Not looked at in this run.")
    lines = "\n".join(tried(opa, tmp_path, WEAK, [flip, stale, elsewhere]).lines(["guards/small.rego"]))
    assert "It is known." in lines
    assert "stale      equivalent.yaml: guards/small.rego: input.risk.score <= 11" in lines
    assert "guards/other.rego" not in lines


def test_a_mutant_that_is_no_policy_is_not_counted(opa: Path, tmp_path: Path) -> None:
    write(tmp_path, {"guards/small.rego": RULE, "guards/small_test.rego": STRONG})
    trials, score = Trials(opa, tmp_path, None, 1), Score([])
    broken = Mutant("guards/small.rego", "drop", "holds", 1, "", "", "package guards.small\n\nholds if {")
    with trials.ready():
        score.count(*trials.run([broken]))
    assert (score.made, score.not_policy) == (0, 1)


def test_a_pack_that_fails_its_own_tests_is_not_scored(opa: Path, tmp_path: Path) -> None:
    write(tmp_path, {"guards/small.rego": RULE.replace("10", "5"), "guards/small_test.rego": STRONG})
    with pytest.raises(AssertionError, match="does not pass its own tests"), Trials(opa, tmp_path, None, 1).ready():
        pass


def test_every_reviewed_mutant_is_of_a_file_that_is_there(source: Path) -> None:
    assert all((source / entry.file).is_file() and len(entry.why) >= 20 for entry in read_equivalents())
