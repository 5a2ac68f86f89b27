"""What an author of an org folder can get wrong, and what a stranger is told: file, line, what, and the next step."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.policy.pack import Pack, PackRefused
from tests.policy.rules import rule, write

pytestmark = pytest.mark.promise("policy.check")
Build = Callable[[Path], Pack]
GUARD = "guards/mine.rego"
WELL = rule("guards", "mine", "holds if input.tool.name")
LISTED = 'import data.lib.list\n\nholds if list.contain_all(input.tool.labels, ["x"])'

MISTAKES: dict[str, tuple[str, str, int, str, str]] = {  # the file, its text, the line, what is said, what to do
    "a misspelt part": (GUARD, "holds if input.caler.mode", 13, "input.caler.mode", "Perhaps `caller` is meant"),
    "a misspelt fact": (
        GUARD,
        'holds if input.caller.person.grups == ["x"]',
        13,
        "input.caller.person.grups",
        "There are: entitlements, groups, id, roles. Perhaps `groups` is meant",
    ),
    "another type": (GUARD, "holds if input.tool.name == 5", 13, "match error", "types that are never equal"),
    "values that are not there": (
        GUARD,
        "holds if data.config.guards.mine.name",
        13,
        "data.config.guards.mine.name",
        "under `guards: {mine: ...}`",
    ),
    "a misspelt word": (GUARD, LISTED, 15, "list.contain_all", "Perhaps `contains_all` is meant"),
    "a misspelt file of lib": (
        GUARD,
        LISTED.replace("data.lib.list", "data.lib.lists").replace("list.c", "lists.c"),
        15,
        "data.lib.lists.contain_all",
        "Perhaps `list` is meant",
    ),
    "a word that is not imported": (
        GUARD,
        'holds if list.contains_all(input.tool.labels, ["x"])',
        13,
        "undefined function list.contains_all",
        "`import data.lib.list`",
    ),
    "too few arguments": (
        GUARD,
        "import data.lib.list\n\nholds if list.filled()",
        15,
        "arity",
        "arguments that its description",
    ),
    "the clock": (GUARD, "holds if time.now_ns() > 1", 13, "time.now_ns", "`input.clock`"),
    "the network": (GUARD, 'holds if http.send({"url": "x"})', 13, "http.send", "words of lib"),
    "not": (GUARD, "holds if not input.tool.name", 13, "`not` holds when", "list.contains_none"),
    "default": (GUARD, "default holds := true", 13, "`default`", "Leave it undefined"),
    "less": (GUARD, "holds if input.risk.score < 80", 13, "`<` is not in the safe form", "number.at_most"),
    "unlike": (GUARD, 'holds if input.tool.name != "x"', 13, "`!=` is not in the safe form", "positive test"),
    "another name": (GUARD, "allow if input.tool.name", 13, "`allow` is asked by nobody", "Name it `holds`"),
    "another rule": (GUARD, "holds if data.guards.risk_ceiling.holds", 13, "Rules read input", "Ask no other rule"),
    "no value": (GUARD, "holds if x == input.tool.name", 13, "var x is unsafe", "`:=`"),
    "no end": (GUARD, "holds if {\n\tinput.tool.name", 15, "unexpected eof", "a bracket is not closed"),
    "no if": (GUARD, "holds {\n\tinput.tool.name\n}", 13, "`if` keyword", "holds if { ... }"),
    "an import for nothing": (
        GUARD,
        "import data.lib.list\n\nholds if input.tool.name",
        13,
        "unused",
        "Remove the import",
    ),
    "context as a right": (
        "permits/mine.rego",
        "applies if input.context.x\n\nconcerns if input.tool.name",
        13,
        "`input.context` may not be read",
        "no right and no duty",
    ),
    "no concerns": ("permits/mine.rego", "applies if input.arguments.x", 0, "lacks `concerns`", "`concerns if ...`"),
    "an approval": (
        "gates/mine.rego",
        "open if input.approval.id",
        13,
        "decision.rego alone",
        "a gate opens by itself",
    ),
    "no METADATA": (GUARD, "=package guards.mine\n\nholds if true\n", 0, "There is no METADATA", "pdp policy new"),
    "METADATA that is not YAML": (GUARD, f"={WELL.replace('A rule of', 'A rule: of')}", 2, "yaml", "quotes"),
    "no stage": (GUARD, f"={WELL.replace('#   stage: call', '#')}", 11, "custom.stage", "caller, call"),
    "no owner": (GUARD, f"={WELL.replace('#   owner: tests', '#')}", 11, "custom.owner", "callers, approvers"),
    "a second file of a package": (
        "guards/other.rego",
        f"={WELL}",
        11,
        "place and its package are not the same",
        "package guards.other",
    ),
    "a rule of the pack": (
        "guards/risk_ceiling.rego",
        f"={WELL.replace('guards.mine', 'guards.risk_ceiling')}",
        0,
        "already has guards.risk_ceiling",
        "another name",
    ),
    "a folder": ("guard/mine.rego", f"={WELL}", 0, "Nothing here is ever loaded", "Perhaps `guards` is meant"),
    "a folder in a folder": ("guards/sub/mine.rego", f"={WELL}", 0, "Only rules and their tests", "right here"),
    "a test alone": ("guards/my_test.rego", "=package guards.my_test", 0, "no rule beside this test", "Write the rule"),
    "a name": ("guards/my-rule.rego", f"={WELL}", 0, "cannot be a package", "lower-case letters"),
    "config.yml": ("config.yml", "={}", 0, "Nothing here is ever loaded", "Perhaps `config.yaml` is meant"),
    "a value nobody reads": (
        "config.yaml",
        "=gates:\n  amont:\n    open_up_to: 5\n",
        2,
        "gates.amont: nobody reads this",
        "Perhaps `amount` is meant",
    ),
    "a section nobody reads": ("config.yaml", "=gate: {}\n", 1, "gate: nobody reads this", "Perhaps `gates` is meant"),
    "a value of another type": (
        "config.yaml",
        "=gates:\n  amount:\n    open_up_to: '5'\n",
        3,
        "gates.amount.open_up_to",
        "Correct the value",
    ),
    "values that are not YAML": ("config.yaml", "=gates: {\n", 2, "not YAML", "indents and brackets"),
    "a table of another form": (
        "cases/a.yaml",
        "=tools: {a/b: {risk_class: read}}\ncases:\n  - {case: x, tool: a/b, expects: allow}\n",
        3,
        "unknown field `expects`",
        "There are: case, tool, expect",
    ),
    "a table that names nobody": (
        "cases/a.yaml",
        "=tools: {a/b: {risk_class: read}}\ncases:\n  - {case: x, tool: a/b, person: bob, expect: allow}\n",
        3,
        "'bob' is defined nowhere",
        "Define every name",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_file_its_line_and_the_next_step(mistake: str, build: Build, tmp_path: Path) -> None:
    name, text, line, what, instead = MISTAKES[mistake]
    folder = name.split("/")[0]
    body = text.removeprefix("=") if text.startswith("=") else rule(folder, "mine", text)
    with pytest.raises(PackRefused) as refused:
        build(write(tmp_path / "org", {name: body}))
    told = {(problem.file, problem.line) for problem in refused.value.problems}
    assert any(
        what in problem.what and instead in problem.instead and problem.line == line
        for problem in refused.value.problems
    ), refused.value
    assert all(f"org/{name}".startswith(file) for file, _ in told)
    assert all(problem.instead not in {"", "Correct it."} for problem in refused.value.problems)
