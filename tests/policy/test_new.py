"""`pdp policy new`: a rule, its test and its cases, complete and green before anybody edits them."""

import json
from pathlib import Path

import pytest

from pdp.errors import Fault
from pdp.policy.draft import KINDS, MAX_NAME, draft, must_be_name, must_be_new
from pdp.policy.pack import Pack, build_pack
from tests.policy.command import pdp
from tests.policy.engine import running
from tests.policy.rules import write

pytestmark = [pytest.mark.promise("policy.new"), pytest.mark.timeout(200)]  # 3 s each on a quiet machine
USUAL = "no_exports_by_night"
LONGEST = "a" + "_b" * (MAX_NAME // 2 - 1) + "c"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_new_passes_every_check_as_it_is(kind: str, tmp_path: Path) -> None:
    org = tmp_path / "org"
    for name in (USUAL, LONGEST):
        done = pdp("policy", "new", kind, name, cwd=tmp_path, PDP_ORG_DIR=str(org))
        assert done.returncode == 0, done.stderr
    done = pdp("check", "--json", cwd=tmp_path, PDP_ORG_DIR=str(org))
    report = json.loads(done.stdout)
    assert (report["problems"], done.returncode) == ([], 0)
    assert all("Line too long" in hint["what"] and LONGEST in hint["file"] for hint in report["hints"])
    assert report["own"] == sorted([f"{KINDS[kind]}.{USUAL}", f"{KINDS[kind]}.{LONGEST}"])
    assert report["tests"] >= 6
    assert report["cases"] >= 4
    assert report["covered"] == 100


def test_it_says_where_it_wrote_what(tmp_path: Path) -> None:
    done = pdp("policy", "new", "guard", "exports", cwd=tmp_path, PDP_ORG_DIR=str(tmp_path / "org"))
    written = [line.split()[0] for line in done.stdout.splitlines()[:3]]
    assert written == ["org/guards/exports.rego", "org/guards/exports_test.rego", "org/cases/exports.yaml"]
    assert all((tmp_path / name).is_file() for name in written)
    done = pdp("policy", "new", "gate", "asks", "--json", cwd=tmp_path, PDP_ORG_DIR=str(tmp_path / "org"))
    assert json.loads(done.stdout)["code"] == "gates.asks"


def test_inside_a_pack_of_ones_own_it_goes_into_its_org_folder(copied: Path, tmp_path: Path) -> None:
    done = pdp("policy", "new", "guard", "exports", cwd=tmp_path, PDP_POLICY_DIR=str(copied))
    assert done.returncode == 0, done.stderr
    assert (copied / "org/guards/exports.rego").is_file()


def test_where_there_is_no_place_for_own_rules_it_says_which_setting_names_one(copied: Path, tmp_path: Path) -> None:
    (copied / "org/README.md").unlink()
    (copied / "org").rmdir()
    done = pdp("policy", "new", "guard", "exports", cwd=tmp_path, PDP_POLICY_DIR=str(copied))
    assert (done.returncode, "set PDP_ORG_DIR" in done.stderr) == (1, True)


def test_what_is_new_changes_no_answer_of_the_pack(opa: Path, source: Path, pack: Pack, tmp_path: Path) -> None:
    from tests.policy.test_mutations import INPUTS

    files = draft("guard", "g") | draft("gate", "h") | draft("permit", "p") | draft("duty", "d")
    built = build_pack(opa, source, write(tmp_path / "org", files), tmp_path / "built")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        running(opa, tmp_path / "a", "--bundle", str(pack.bundle)) as before,
        running(opa, tmp_path / "b", "--bundle", str(built.bundle)) as after,
    ):
        for document in INPUTS:
            was, is_now = before.verdict(document), after.verdict(document)
            assert is_now | {"revision": ""} == was | {"revision": ""}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("No-Exports", "lower-case letters, digits and underscores"),
        ("1st", "beginning with a letter"),
        ("", "lower-case letters"),
        ("../x", "lower-case letters"),
        ("x" * (MAX_NAME + 1), f"up to {MAX_NAME}"),
        ("x_test", "leave that out"),
        ("default", "choose another, such as default_allowed"),
        ("input", "choose another"),
        ("list", "choose another"),
    ],
)
def test_a_name_that_is_no_package_is_refused_with_what_to_choose(name: str, says: str) -> None:
    with pytest.raises(Fault, match=says):
        must_be_name(name)


def test_a_name_the_pack_has_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"guards\.risk_ceiling already: choose another name, or change its values"):
        must_be_new(draft("guard", "risk_ceiling"), source, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    org = tmp_path / "org"
    assert pdp("policy", "new", "guard", "exports", cwd=tmp_path, PDP_ORG_DIR=str(org)).returncode == 0
    (org / "guards/exports.rego").write_text("mine")
    done = pdp("policy", "new", "guard", "exports", cwd=tmp_path, PDP_ORG_DIR=str(org))
    assert done.returncode == 1
    assert "exists already: edit it, remove it, or choose another name" in done.stderr
    done = pdp("policy", "new", "gate", "exports", cwd=tmp_path, PDP_ORG_DIR=str(org))
    assert "cases/exports.yaml exists already" in done.stderr
    assert (org / "guards/exports.rego").read_text() == "mine"
    assert not (org / "gates").exists()
