"""What an organisation's folder cannot do, however its files are written, named or linked: each is refused by name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdp.policy.pack import Pack, PackRefused, build_pack
from tests.policy.engine import running
from tests.policy.rules import WORDS, org, rule, write
from tests.sparing import sparing

pytestmark = pytest.mark.promise("policy.org")
Build = Callable[[Path], Pack]
BODY = "holds if input.tool.server"
PLAIN = rule("guards", "mine", BODY)
FILE = "org/guards/mine.rego"

TRICKS = {
    "a name for input": ("import data.lib.number as input\n\nholds if input.at_most(1, 2)", "reserved name"),
    "a name for data": ("import data.lib.number as data\n\nholds if data.at_most(1, 2)", "reserved name"),
    "the input imported": ("import input as it\n\nholds if it.tool.server", "Rules read input"),
    "all data imported": ("import data as d\n\nholds if d.guards.token_scope.holds", "Rules read input"),
    "another dialect": ("import rego\n\nholds if input.tool.server", "invalid import"),
    "future keywords": ("import future.keywords.in\n\nholds if input.tool.server", "Rules read input"),
    "a parameter that hides the input": ("holds if _f(1)\n\n_f(input) if input.x == 1", "must not shadow input"),
    "a parameter that hides data": ("holds if _f(1)\n\n_f(data) if data == 1", "must not shadow data"),
    "a variable that hides the input": ('holds if {\n\tinput := {"x": 1}\n\tinput.x == 1\n}', "must not shadow input"),
    "its own metadata": ("holds if rego.metadata.rule().title", "undefined function"),
    "the approval in brackets": ('holds if "x" in input["approval"].gates', "decision.rego alone"),
    "the approval in a variable": ('holds if {\n\tkey := "approval"\n\tinput[key].id\n}', "`input` as a whole"),
    "other rules in brackets": ('holds if data["guards"].token_scope.holds', "Rules read input"),
    "other rules in a variable": ('holds if {\n\tk := "guards"\n\tdata[k].token_scope.holds\n}', "Rules read input"),
    "a template": ('holds if $"{input.tool.name}" == "x"', "template strings"),
    "a built-in of its own": ("holds if _x\n\n_x := 1\n\nstartswith(_, _) := true", "asked by nobody"),
    "a rule of another package": (f"{BODY}\n\ndata.guards.token_scope.holds := true", "must not shadow data"),
    "itself": ("holds if _a\n\n_a if _a", "is recursive"),
    "a computed true": ("holds := 1 == 1", "other than true"),
    "a later null": ("holds if _lost(input.arguments.x)\n\n_lost(null) := true", "`null` is what a lost fact"),
    "walking": ('holds if walk(input, [["x"], 1])', "undefined function"),
    "text that is parsed": ('holds if json.unmarshal("true")', "undefined function"),
    "a thousand brackets": (f"holds if input.tool.name == {'[' * 1000}{']' * 1000}", "nested 1000 deep"),
    "an ignore": (f"# regal ignore:safe-form\n{BODY}", "look away"),
    "an ignore at the end of a line": (f"{BODY} # regal ignore:safe-form", "look away"),
    "an ignore without a blank": (f"#regal ignore:safe-form\n{BODY}", "look away"),
    "an ignore with tabs": (f"#\tregal\tignore:safe-form\n{BODY}", "look away"),
    "an ignore with an odd blank": (f"# regal\u00a0ignore:safe-form\n{BODY}", "look away"),
    "an ignore in capitals": (f"# Regal Ignore:safe-form\n{BODY}", "look away"),
    "an ignore after words": (f"# see regal ignore:safe-form\n{BODY}", "look away"),
    "an entrypoint": (f"# METADATA\n# entrypoint: true\n{BODY}", "makes an entrypoint"),
    "a schema on a document": (
        f"# METADATA\n# scope: document\n# schemas:\n#   - input.tool: {{}}\n{BODY}",
        "schema of its own",
    ),
    "a rule behind a lone carriage return": (f"# x\rholds if not input.tool.name\n{BODY}", "`not` holds"),
    "a null character": (f"# x\x00\n{BODY}", "null character"),
}
TEXTS = {
    "a package in quotes": (PLAIN.replace("package guards.mine", 'package guards["mine"]'), "its package"),
    "a package with a look-alike letter": (
        PLAIN.replace("package guards.mine", "package guards.m\u0456ne"),
        "its package",
    ),
    "a second package": (f"{PLAIN}\npackage guards.token_scope\n\nholds if 1 == 1\n", "unexpected package"),
    "a byte order mark": (f"\ufeff{PLAIN}", "byte order mark"),
    "words for packages below": (PLAIN.replace("# METADATA", "# METADATA\n# scope: subpackages"), "scope: package"),
    "words on the rule": (f"package guards.mine\n\n{WORDS.format(stage='call')}{BODY}\n", "METADATA above `package`"),
    "words twice": (f"{WORDS.format(stage='call')}{PLAIN}", "redeclared"),
    "an entrypoint of the package": (
        PLAIN.replace("# METADATA", "# METADATA\n# entrypoint: true"),
        "makes an entrypoint",
    ),
    "a title twice": (PLAIN.replace("# title: A", "# title: B\n# title: A"), "already defined"),
    "words that are a list": (f"# METADATA\n# custom: [1]\npackage guards.mine\n\n{BODY}\n", "yaml"),
}


def tricks(listed: dict[str, tuple[str, str]]) -> list[Any]:
    """Return the tricks as parameters."""
    return [pytest.param(*trick, id=name) for name, trick in listed.items()]


def words_of(trick: Any) -> str:
    """Return what is said of a trick: those that are told alike are of one kind."""
    return str(trick.values[1])


@pytest.mark.parametrize(("body", "says"), sparing(tricks(TRICKS), words_of))
def test_a_trick_in_a_rule_is_refused_with_its_file(body: str, says: str, build: Build, tmp_path: Path) -> None:
    folder = tmp_path / "org/guards"
    folder.mkdir(parents=True)
    (folder / "mine.rego").write_bytes(rule("guards", "mine", body).encode())  # as it is, line ends too
    _refused(build, tmp_path, says)


@pytest.mark.parametrize(("text", "says"), sparing(tricks(TEXTS), words_of))
def test_a_trick_with_package_or_words_is_refused_with_its_file(
    text: str, says: str, build: Build, tmp_path: Path
) -> None:
    write(tmp_path, {FILE: text})
    _refused(build, tmp_path, says)


def _refused(build: Build, folder: Path, says: str) -> None:
    with pytest.raises(PackRefused) as refused:
        build(folder / "org")
    assert says in str(refused.value)
    assert {problem.file for problem in refused.value.problems} == {FILE}
    assert all(problem.instead for problem in refused.value.problems)


def test_line_ends_of_another_system_change_nothing(build: Build, tmp_path: Path) -> None:
    write(tmp_path / "a", {FILE: PLAIN})
    file = write(tmp_path / "b", {FILE: ""}) / FILE
    file.write_bytes(PLAIN.replace("\n", "\r\n").encode())
    assert build(tmp_path / "a/org").revision == build(tmp_path / "b/org").revision


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"guards/.mine.rego": PLAIN}, "org/guards/.mine.rego"),
        ({".mine.rego": PLAIN}, "org/.mine.rego"),
        ({"config.yaml/mine.yaml": "{}"}, "org/config.yaml"),
        ({"cases": "cases: []"}, "org/cases"),
        ({"README.md/guards.rego": PLAIN}, "org/README.md"),
        ({"cases/mine.yml": "cases: []"}, "org/cases/mine.yml"),
        ({"guards/mine.rego": PLAIN, "guards/mine_test.rego": "# regal ignore:x\n"}, "org/guards/mine_test.rego"),
        ({"capabilities.json": "{}"}, "org/capabilities.json"),
        ({"schemas/input.json": "{}"}, "org/schemas"),
        ({"pdp/decision.rego": "package pdp.decision\n"}, "org/pdp"),
        ({"lib/number.rego": "package lib.number\n"}, "org/lib"),
    ],
)
def test_what_would_be_passed_over_is_refused(files: dict[str, str], named: str, build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused) as refused:
        build(write(tmp_path / "org", files))
    assert [problem.file for problem in refused.value.problems] == [named]


@pytest.mark.parametrize("name", ["config.yaml", "cases", "README.md"])
def test_a_link_that_leads_nowhere_is_no_empty_file(name: str, build: Build, tmp_path: Path) -> None:
    """A mount that is gone must not take the organisation's limits with it."""
    folder = org(tmp_path, "guards", BODY)
    (folder / name).symlink_to(tmp_path / "gone" / name)
    with pytest.raises(PackRefused, match=rf"org/{name}: This is not a (file|folder)\..*where the link leads"):
        build(folder)


def test_values_in_a_pipe_are_refused_unread(build: Build, tmp_path: Path) -> None:
    folder = org(tmp_path, "guards", BODY)
    os.mkfifo(folder / "config.yaml")
    with pytest.raises(PackRefused, match=r"org/config\.yaml: This is not a file"):
        build(folder)


@pytest.mark.parametrize("name", ["config.yaml", "cases/mine.yaml"])
def test_a_file_dropped_in_by_mistake_is_not_read(name: str, build: Build, tmp_path: Path) -> None:
    folder = write(tmp_path / "org", {name: ""})
    os.truncate(folder / name, 2**40)
    with pytest.raises(PackRefused, match=rf"org/{name}: The file is larger than 262144 bytes"):
        build(folder)


def test_what_editors_and_mounts_leave_is_passed_over(build: Build, tmp_path: Path) -> None:
    folder = org(tmp_path, "guards", BODY)
    write(folder, {".git/config": "", "guards/.mine.rego.swp": "", ".regal/config.yaml": "rules: {}"})
    (folder / "guards/.#mine.rego").symlink_to("somebody@somewhere.1234")
    assert "guards.mine" in build(folder).rules


def test_a_link_is_what_it_leads_to(build: Build, tmp_path: Path) -> None:
    """Kubernetes mounts a folder as links; what is read is checked and built, wherever it stands."""
    write(
        tmp_path / "elsewhere", {"mine.rego": PLAIN, "bad.rego": rule("guards", "bad", "holds if not input.tool.name")}
    )
    guards = tmp_path / "org/guards"
    guards.mkdir(parents=True)
    (guards / "mine.rego").symlink_to(tmp_path / "elsewhere/mine.rego")
    assert build(tmp_path / "org").rules["guards.mine"].file == FILE
    (guards / "bad.rego").symlink_to(tmp_path / "elsewhere/bad.rego")
    with pytest.raises(PackRefused, match=r"org/guards/bad\.rego:13: `not` holds"):
        build(tmp_path / "org")


@pytest.mark.parametrize("target", ["nowhere.rego", "mine.rego", "/proc/self/mem", "."])
def test_a_link_that_leads_to_no_rule_is_refused(target: str, build: Build, tmp_path: Path) -> None:
    guards = tmp_path / "org/guards"
    guards.mkdir(parents=True)
    (guards / "mine.rego").symlink_to(target)
    with pytest.raises(PackRefused, match=r"org/guards/mine\.rego"):
        build(tmp_path / "org")


def test_values_may_widen_what_the_pack_limits(build: Build, opa: Path, call: dict[str, Any], tmp_path: Path) -> None:
    """They are the organisation's own; only names are for the pack alone."""
    call["arguments"]["amount"] = 9000
    built = build(write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 9000}}"}))
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert asked.verdict(call)["effect"] == "allow"


@pytest.mark.parametrize(
    "change",
    [
        {"builtins": [{"name": "time.now_ns", "decl": {"type": "function", "result": {"type": "number"}}}]},
        {"features": ["rego_v1", "rego_v2"]},
        {"future_keywords": ["not"]},
        {"allow_net": ["example.com"]},
    ],
)
def test_a_pack_does_not_allow_itself_more_of_rego(
    change: dict[str, Any], opa: Path, copied: Path, tmp_path: Path
) -> None:
    file = copied / "capabilities.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(PackRefused, match=r"capabilities\.json: It is not the list of built-ins"):
        build_pack(opa, copied, None, tmp_path / "built")
