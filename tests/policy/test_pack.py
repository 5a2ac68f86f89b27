"""A pack from files to a bundle: what is refused, what is in it, and that it is the same every time."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Fault
from pdp.policy.pack import Pack, PackRefused, build_pack
from tests.policy.engine import running
from tests.policy.rules import org, rule, write

pytestmark = pytest.mark.promise("policy.pack")
Build = Callable[[Path], Pack]


def names_in(bundle: Path) -> set[str]:
    """Return the names of the files of a bundle."""
    with tarfile.open(bundle) as archive:
        return {member.name.lstrip("/") for member in archive.getmembers()}


def test_the_same_files_make_the_same_bundle_byte_for_byte(opa: Path, pack: Pack, copied: Path, tmp_path: Path) -> None:
    again = build_pack(opa, copied, None, tmp_path / "again")
    assert again.revision == pack.revision
    assert again.bundle.read_bytes() == pack.bundle.read_bytes()


def test_the_bundle_holds_every_rule_and_no_test(pack: Pack, source: Path) -> None:
    folders = ("pdp", "lib", "permits", "guards", "gates", "duties", "approvals")
    rules = {f"{folder}/{file.name}" for folder in folders for file in (source / folder).glob("*.rego")}
    expected = {name for name in rules if not name.endswith("_test.rego")}
    assert names_in(pack.bundle) == expected | {"data.json", ".manifest"}


def test_the_manifest_lists_exactly_the_files_that_are_there(pack: Pack, unpacked: Path) -> None:
    manifest = json.loads((unpacked / "data.json").read_text())["manifest"]
    for folder in ("permits", "guards", "gates", "duties"):
        assert manifest[folder] == sorted(file.stem for file in (unpacked / folder).glob("*.rego"))
    assert manifest["revision"] == pack.revision
    assert manifest["rules"].keys() == pack.rules.keys()
    early = {code for code, said in pack.rules.items() if said.stage == "caller"}
    assert {f"guards.{name}" for name in manifest["caller"]["guards"]} == {c for c in early if c.startswith("guards.")}


def test_every_rule_has_words_for_the_people_who_meet_it(pack: Pack) -> None:
    for said in pack.rules.values():
        assert all((said.title, said.description, said.remedy, said.owner, said.text))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("guards/token_scope.rego", "Scopes limit", "Scopes bound"),  # words
        ("lib/number.rego", "value <= limit", "value < limit"),
        ("config.yaml", "open_up_to: 5000", "open_up_to: 5001"),
    ],
)
def test_any_change_that_counts_is_another_revision(
    *, name: str, old: str, new: str, opa: Path, pack: Pack, copied: Path, tmp_path: Path
) -> None:
    file = copied / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    assert build_pack(opa, copied, None, tmp_path / "other").revision != pack.revision


def test_an_org_rule_joins_the_pack_under_its_own_code(
    build: Build, pack: Pack, opa: Path, call: dict[str, Any], tmp_path: Path
) -> None:
    built = build(org(tmp_path, "gates", 'open if input.tool.name == "another"'))
    assert built.rules.keys() - pack.rules.keys() == {"gates.mine"}
    assert built.rules["gates.mine"].file == "org/gates/mine.rego"
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert asked.verdict(call)["shut_gates"] == ["gates.mine"]


def test_an_org_folder_inside_the_pack_is_taken_without_being_named(opa: Path, copied: Path, tmp_path: Path) -> None:
    org(copied, "guards", "holds if input.tool.name")
    assert "guards.mine" in build_pack(opa, copied, None, tmp_path / "built").rules


def test_two_org_folders_are_refused(opa: Path, copied: Path, tmp_path: Path) -> None:
    org(copied, "guards", "holds if input.tool.name")
    with pytest.raises(PackRefused, match="PDP_ORG_DIR names another folder"):
        build_pack(opa, copied, org(tmp_path, "gates", "open if input.tool.name"), tmp_path / "built")


def test_values_in_one_org_folder_are_not_forgotten_for_those_in_another(
    opa: Path, copied: Path, tmp_path: Path
) -> None:
    write(copied, {"org/config.yaml": "gates: {amount: {open_up_to: 1}}"})
    with pytest.raises(PackRefused, match="PDP_ORG_DIR names another folder"):
        build_pack(opa, copied, org(tmp_path, "gates", "open if input.tool.name"), tmp_path / "built")


@pytest.mark.parametrize(
    "name", ["mine.rego", "guard/mine.rego", "rules/guards/mine.rego", "lib/mine.rego", "pdp/decision.rego"]
)
def test_a_rule_in_a_folder_that_nobody_loads_is_refused(name: str, build: Build, tmp_path: Path) -> None:
    folder = write(tmp_path / "org", {name: rule("guards", "mine", "holds if input.tool.name")})
    with pytest.raises(PackRefused, match="Nothing here is ever loaded"):
        build(folder)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("guards/sub/mine.rego", "Only rules and their tests"),
        ("guards/mine.rego.bak", "Only rules and their tests"),
        ("guards/Mine.rego", "cannot be a package"),
        ("guards/my-rule.rego", "cannot be a package"),
        ("guards/load_test.rego", "no rule beside this test"),
    ],
)
def test_a_file_out_of_place_is_refused(name: str, says: str, build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=says):
        build(write(tmp_path / "org", {name: "package guards.mine\n"}))


def test_a_file_that_is_not_text_is_refused(build: Build, tmp_path: Path) -> None:
    folder = org(tmp_path, "guards", "holds if input.tool.name")
    (folder / "guards/mine.rego").write_bytes(b"\xff\xfe")
    with pytest.raises(PackRefused, match="cannot be read"):
        build(folder)


def test_a_file_far_larger_than_a_rule_is_refused(build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match="larger than"):
        build(org(tmp_path, "guards", "holds if input.tool.name\n" + "# x\n" * 100_000))


@pytest.mark.parametrize(
    "missing",
    ["pdp/decision.rego", "permits", "guards", "capabilities.json", "schemas/config.json", "schemas/input.json"],
)
def test_a_pack_that_lacks_a_part_is_refused(missing: str, opa: Path, copied: Path, tmp_path: Path) -> None:
    part = copied / missing
    for file in part.glob("*.rego") if part.is_dir() else [part]:
        file.unlink()
    with pytest.raises(PackRefused, match=missing.replace(".", r"\.")):
        build_pack(opa, copied, None, tmp_path / "built")


def test_a_folder_that_is_not_there_is_named_with_its_setting(opa: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match="PDP_POLICY_DIR"):
        build_pack(opa, tmp_path / "none", None, tmp_path / "built")
    with pytest.raises(PackRefused, match="PDP_ORG_DIR"):
        build_pack(opa, source, tmp_path / "none", tmp_path / "built")


def test_every_problem_is_named_in_one_run(build: Build, tmp_path: Path) -> None:
    folder = write(tmp_path / "org", {"guard/x.rego": "", "guards/y.json": "{}", "gates/Z.rego": ""})
    with pytest.raises(PackRefused) as refused:
        build(folder)
    assert [problem.file for problem in refused.value.problems] == [
        "org/gates/Z.rego",
        "org/guard",
        "org/guards/y.json",
    ]


def test_a_syntax_error_is_named_with_file_and_line(build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused) as refused:
        build(org(tmp_path, "guards", "holds if {\n\tinput.tool.name ==\n}"))
    (problem, *_) = refused.value.problems
    assert (problem.file, problem.line) == ("org/guards/mine.rego", 15)


def test_a_refused_pack_leaves_no_bundle(opa: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(PackRefused):
        build_pack(opa, source, org(tmp_path, "guards", "holds if not input.x"), tmp_path / "built")
    assert list((tmp_path / "built").iterdir()) == []


def test_an_opa_that_cannot_run_is_a_fault_that_says_where_to_look(source: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="pdp opa path"):
        build_pack(tmp_path / "no-opa", source, None, tmp_path / "built")


def test_the_environment_of_the_pdp_changes_nothing(
    opa: Path, source: Path, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPA_IGNORE", "OPA_BUILD_IGNORE", "OPA_CHECK_IGNORE", "OPA_CHECK_V0_COMPATIBLE"):
        monkeypatch.setenv(name, "token_scope.rego")
    assert build_pack(opa, source, None, tmp_path / "built").bundle.read_bytes() == pack.bundle.read_bytes()
