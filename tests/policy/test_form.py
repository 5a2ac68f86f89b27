"""The safe form: what may stand in a rule, what may not, where it was found, and what to write instead."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.policy.form import ASKED, BUILTINS, TESTS
from pdp.policy.pack import Pack, PackRefused
from tests.policy.rules import org

pytestmark = pytest.mark.promise("policy.safe_form")
Build = Callable[[Path], Pack]

GOOD = {
    "equality": "holds if input.tool.name == input.tool.owner",
    "membership": 'holds if "support" in input.caller.person.groups',
    "a literal list": 'holds if input.tool.risk_class in ["read", "write"]',
    "some": "holds if {\n\tsome entry in input.risk.evidence\n\tentry.code == input.tool.name\n}",
    "some, with its place": "holds if {\n\tsome place, entry in input.risk.evidence\n\tplace == 0\n\tentry.code\n}",
    "a name for a value": "holds if {\n\tname := input.tool.name\n\tname == input.tool.owner\n}",
    "a word": "import data.lib.number\n\nholds if number.at_most(input.risk.score, 80)",
    "a word under another name": "import data.lib.number as n\n\nholds if n.at_most(input.risk.score, 80)",
    "a word by its path": "holds if data.lib.number.at_most(input.risk.score, 80)",
    "a part": 'holds if _ready\n\n_ready if input.tool.name == "x"',
    "a part with arguments": 'holds if _is(input.tool.name)\n\n_is(name) if name == "x"',
    "several rules": 'holds if input.tool.name == "x"\n\nholds if input.tool.name == "y"',
    "the pack's values": "import data.config\n\nholds if input.tool.name == config.gates.amount.label",
    "an index": "holds if input.arguments[input.tool.name]",
    "text": 'holds if startswith(lower(input.tool.name), "get_")',
    "the context, as friction": 'holds if input.context.mcp_method == "tools/call"',
}

BAD = {  # the body, what is said, the line below the package at which
    "not": ("holds if not input.tool.name", "`not` holds when the fact is missing", 0),
    "not, further down": ("holds if {\n\tinput.tool.name\n\tnot input.facts.first_use\n}", "`not` holds", 2),
    "else": ("holds if input.tool.name else := false", "`else`", 0),
    "default": ("default holds := false\n\nholds if input.tool.name", "`default`", 0),
    "a set": ('holds contains "x" if input.tool.name', "collects values", 0),
    "an object": ('holds["x"] := 1 if input.tool.name', "collects values", 0),
    "a path": ("holds.x if input.tool.name", "collects values", 0),
    "a collecting part": ('holds if "x" in _x\n\n_x contains "x" if input.tool.name', "collects values", 2),
    "every": ("holds if every x in input.risk.evidence { x.code }", "`every`", 0),
    "a list comprehension": ("holds if [] == [x | some x in input.risk.evidence]", "comprehension", 0),
    "a set comprehension": ("holds if set() == {x | some x in input.risk.evidence}", "comprehension", 0),
    "an object comprehension": ("holds if {} == {x: 1 | some x in input.caller.person.roles}", "comprehension", 0),
    "with": ('holds if input.tool.name with input as {"tool": {"name": "x"}}', "`with`", 0),
    "less": ("holds if input.risk.score < 80", "`<` is not in the safe form. Use number.at_most", 0),
    "less, on arguments": ("holds if input.arguments.amount <= 80", "`<=` is not in the safe form", 0),
    "more": ("holds if input.risk.score > 80", "`>`", 0),
    "more or equal": ("holds if input.risk.score >= 80", "`>=`", 0),
    "no test, on arguments": (
        'holds if {\n\tbanned := input.arguments.command in ["rm"]\n\tbanned == false\n}',
        "`in` as a value is false also for a fact of another type",
        1,
    ),
    "no equality": ('holds if (input.tool.name == "x") == false', "`==` as a value", 0),
    "no equality, in a part": ('holds if _is == false\n\n_is := input.tool.name == "x"', "`==` as a value", 2),
    "no prefix": ('holds if startswith(input.arguments.path, "/etc") == false', "`startswith` as a value", 0),
    "no type": ("holds if is_string(input.arguments.path) == false", "`is_string` as a value", 0),
    "no test, in a list": ('holds if false in [input.tool.name == "x"]', "`==` as a value", 0),
    "no test, in a word": (
        'import data.lib.argument\n\nholds if argument.among(input.arguments.a in ["x"], [false])',
        "`in` as a value",
        2,
    ),
    "no test, as a key": ('holds if {false: true}[endswith(input.tool.name, "x")]', "`endswith` as a value", 0),
    "unequal": ('holds if input.tool.name != "x"', "`!=`", 0),
    "unification": ('holds if input.tool.name = "x"', "`=`", 0),
    "counting": ("holds if count(input.caller.person.roles) == 1", "`count`", 0),
    "object.get": ('holds if object.get(input.risk, "score", 0) == 0', "`object.get`", 0),
    "an expression": ("holds if input.risk.score + 1 == 2", "`plus`", 0),
    "a forbidden call inside a word": (
        "import data.lib.number\n\nholds if number.at_most(count(input.caller.person.roles), 1)",
        "`count`",
        2,
    ),
    "the whole input": ("holds if _x(input)\n\n_x(it) if it.tool.name", "`input` as a whole", 0),
    "the whole input, named": ("holds if {\n\tit := input\n\tit.tool.name\n}", "`input` as a whole", 1),
    "any key": ("holds if {\n\tsome key\n\tinput[key].name\n}", "`input` as a whole", 2),
    "an approval": ('holds if "x" in input.approval.gates', "decision.rego alone", 0),
    "another rule": ("holds if data.guards.token_scope.holds", "Rules read input, data.config and data.lib", 0),
    "another rule, imported": ("import data.guards.token_scope\n\nholds if token_scope.holds", "Rules read input", 0),
    "the manifest": ("import data.manifest\n\nholds if manifest.revision", "Rules read input", 0),
    "an imported input": ("import input.tool\n\nholds if tool.name", "Rules read input", 0),
    "a function": ("holds(x) if x == input.tool.name", "is a function", 0),
    "a value": ("holds := 1 if input.tool.name", "something other than true", 0),
    "another name": ("holds if input.tool.name\n\nready if input.tool.name", "asked by nobody", 2),
    "no rule": ("_part if input.tool.name", "does not define `holds`", None),
    "concerns, in a guard": ("holds if input.tool.name\n\nconcerns if input.tool.name", "asked by nobody", 2),
}
HEADER = 13  # the line of a test rule's first line below its package


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_what_says_what_must_be_there_is_accepted(body: str, build: Build, tmp_path: Path) -> None:
    assert "guards.mine" in build(org(tmp_path, "guards", body)).rules


@pytest.mark.parametrize(("body", "says", "line"), BAD.values(), ids=BAD)
def test_what_could_hold_on_nothing_is_refused_at_its_line(
    body: str, says: str, line: int | None, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused) as refused:
        build(org(tmp_path, "guards", body))
    found = [problem for problem in refused.value.problems if says in str(problem)]
    assert found, str(refused.value)
    assert found[0].file == "org/guards/mine.rego"
    assert found[0].line == (0 if line is None else HEADER + line)
    assert all(problem.instead for problem in refused.value.problems)


@pytest.mark.parametrize("name", ["arguments", "parsed", "context"])
def test_a_rule_about_the_caller_that_reads_the_call_is_refused(name: str, build: Build, tmp_path: Path) -> None:
    body = f'holds if input.{name}.x == "y"'
    assert "guards.mine" in build(org(tmp_path / "call", "guards", body, stage="call")).rules
    with pytest.raises(PackRefused, match=f"`input.{name}` may not be read here"):
        build(org(tmp_path / "caller", "guards", body, stage="caller"))


@pytest.mark.parametrize(
    ("folder", "body"),
    [
        ("permits", 'applies if input.context.x == "y"\n\nconcerns if input.tool.name'),
        ("duties", 'duty := {"type": "none"} if input.context.x == "y"'),
    ],
)
def test_no_right_and_no_duty_rests_on_what_the_caller_claims(
    folder: str, body: str, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused, match=r"`input.context` may not be read here"):
        build(org(tmp_path, folder, body))


@pytest.mark.parametrize(
    ("stage", "body", "says"),
    [
        ("call", "applies if input.tool.name", "lacks `concerns`"),
        ("caller", "applies if input.tool.name\n\nconcerns if input.tool.name", "Only a permit of stage call"),
    ],
)
def test_a_permit_that_reads_the_call_says_whom_it_concerns(
    stage: str, body: str, says: str, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused, match=says):
        build(org(tmp_path, "permits", body, stage=stage))


def test_the_linter_and_the_loader_know_the_same_built_ins(source: Path) -> None:
    rules = source / ".regal/rules/custom"
    listed = re.search(
        r"builtins := \{(.*?)\}", (rules / "regal/rules/pdp/words-only/words_only.rego").read_text(), re.DOTALL
    )
    assert listed is not None
    assert set(re.findall(r'"([^"]+)"', listed[1])) == BUILTINS
    tests = re.search(r"tests := \{(.*?)\}", (rules / "pdp/pack.rego").read_text(), re.DOTALL)
    assert tests is not None
    assert set(re.findall(r'"([^"]+)"', tests[1])) == TESTS
    asked = re.search(r"asked := (\{.*?\})", (rules / "pdp/pack.rego").read_text())
    assert asked is not None
    assert dict(re.findall(r'"(\w+)": "(\w+)"', asked[1])) == ASKED
