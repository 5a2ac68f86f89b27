"""Every rule has its words, and they are true: its good examples say yes, its bad ones do not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.engine.compiled import load
from pdp.policy.form import ASKED
from pdp.policy.law import Rule
from pdp.policy.pack import Pack, PackRefused
from tests.policy.engine import Asked, InProcess, compile_rules
from tests.policy.rules import WORDS, org

pytestmark = pytest.mark.promise("policy.law")
Build = Callable[[Path], Pack]
LINES = [line for line in WORDS.splitlines() if line.startswith("#") and line not in {"# METADATA", "# custom:"}]


def question(rule: Rule) -> str:
    """Return the path of what a rule answers."""
    return f"{rule.folder}/{rule.name}/{ASKED[rule.folder]}"


@pytest.fixture
def every_rule(opa: Path, pack: Pack, unpacked: Path, tmp_path: Path) -> InProcess:
    """Return the rules of the pack, compiled by themselves: OPA refuses some entrypoints beside decision.rego."""
    (unpacked / "pdp" / "decision.rego").unlink()
    entrypoints = [question(rule) for rule in pack.rules.values()]
    return InProcess(load(compile_rules(opa, unpacked, entrypoints, tmp_path / "compiled.tar.gz")))


def says_yes(rule: Rule, answer: object) -> bool:
    """Say whether a rule's answer is a yes: true, or for a duty an object with a type."""
    return isinstance(answer, dict) and "type" in answer if rule.folder == "duties" else answer is True


@pytest.mark.parametrize("asked", ["opa"], indirect=True)
def test_the_good_examples_of_every_rule_say_yes(pack: Pack, asked: Asked, every_rule: InProcess) -> None:
    for rule in pack.rules.values():
        for example in rule.good:
            for engine in (asked, every_rule):
                assert says_yes(rule, engine(question(rule), example)), f"{rule.code} on {example}"


@pytest.mark.parametrize("asked", ["opa"], indirect=True)
def test_the_bad_examples_of_every_rule_do_not(pack: Pack, asked: Asked, every_rule: InProcess) -> None:
    for rule in pack.rules.values():
        for example in rule.bad:
            for engine in (asked, every_rule):
                answer = engine(question(rule), example)
                assert answer in (Asked.UNDEFINED, {"type": "none"}), f"{rule.code} on {example}"


@pytest.mark.parametrize("line", LINES)
def test_a_rule_without_one_of_its_words_is_refused(line: str, build: Build, tmp_path: Path) -> None:
    folder = org(tmp_path, "guards", "holds if input.tool.name")
    file = folder / "guards/mine.rego"
    file.write_text(file.read_text().replace(line.format(stage="call") + "\n", ""))
    with pytest.raises(PackRefused, match="METADATA") as refused:
        build(folder)
    assert [problem.file for problem in refused.value.problems] == ["org/guards/mine.rego"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stage: call", "stage: sometimes"),
        ("severity: low", "severity: very"),
        ("owner: tests", "owner: 5"),
        ("remedy: Ask the test.", 'remedy: " "'),
        ("title: A rule of a test", 'title: ""'),
        ("good: {tool: {name: x}}", "good: x"),
        ("good: {tool: {name: x}}", "good: []"),
        ("bad: {tool: {name: y}}", "bad: [1]"),
        ("description: It says", f"description: {'very ' * 500}It says"),
    ],
)
def test_words_that_say_nothing_are_refused(old: str, new: str, build: Build, tmp_path: Path) -> None:
    folder = org(tmp_path, "guards", "holds if input.tool.name")
    file = folder / "guards/mine.rego"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(PackRefused, match=r"org/guards/mine\.rego:11: METADATA"):
        build(folder)


@pytest.mark.parametrize("place", ["# METADATA\n", "package guards.mine\n\n# METADATA\n"])
def test_a_rule_that_brings_a_schema_of_its_own_is_refused(place: str, build: Build, tmp_path: Path) -> None:
    """It would switch off the check of misspelt fields for itself."""
    folder = org(tmp_path, "guards", "# METADATA\n# title: x\nholds if input.tool.nme")
    file = folder / "guards/mine.rego"
    text = file.read_text()
    at = text.index(place) + len(place)
    file.write_text(text[:at] + "# schemas:\n#   - input: {}\n" + text[at:])
    with pytest.raises(PackRefused, match="schema of its own"):
        build(folder)
