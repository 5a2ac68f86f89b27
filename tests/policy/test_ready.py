"""The pack that comes compiled answers for the files it was made from, and for no others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.policy.origin import Origin
from pdp.policy.pack import Pack, PackRefused
from pdp.policy.ready import kept, ready_made
from pdp.policy.revisions import bundle_of
from tests.policy.rules import org, write
from tests.policy.signing import MAKE, public_key

pytestmark = pytest.mark.promise("policy.ready")

CHANGES: dict[str, Callable[[str], str]] = {
    "guards/risk_ceiling.rego": lambda text: text + "\n# changed\n",
    "lib/text.rego": lambda text: text.replace("\n\n", "\n\n\n", 1),
    "config.yaml": lambda text: text.replace("read: 90", "read: 91"),
}


def test_the_very_files_it_was_made_from_need_no_opa(compiled: Pack, source: Path, copied: Path) -> None:
    for folder in (source, copied):
        ready = ready_made(Origin(policy_dir=folder), compiled.bundle)
        assert ready == compiled


def test_without_one_nothing_is_ready(source: Path, tmp_path: Path) -> None:
    assert ready_made(Origin(policy_dir=source), tmp_path / "none.tar.gz") is None


@pytest.mark.parametrize("name", CHANGES)
def test_one_made_from_other_files_is_not_used(name: str, compiled: Pack, copied: Path) -> None:
    before = (copied / name).read_text()
    after = CHANGES[name](before)
    assert after != before
    (copied / name).write_text(after)
    assert ready_made(Origin(policy_dir=copied), compiled.bundle) is None


def test_a_rule_that_was_added_or_removed_is_noticed(compiled: Pack, copied: Path, tmp_path: Path) -> None:
    (copied / "gates" / "amount.rego").rename(tmp_path / "amount.rego")
    (copied / "gates" / "amount_test.rego").unlink()
    assert ready_made(Origin(policy_dir=copied), compiled.bundle) is None
    (tmp_path / "amount.rego").rename(copied / "gates" / "amount.rego")
    assert ready_made(Origin(policy_dir=copied), compiled.bundle) is not None


def test_rules_and_values_of_an_organisation_are_not_passed_over(compiled: Pack, source: Path, tmp_path: Path) -> None:
    rules = org(tmp_path, "guards", "holds if input.tool.name")
    values = write(tmp_path / "values", {"config.yaml": "guards: {risk_ceiling: {read: 10}}"})
    for folder in (rules, values):
        assert ready_made(Origin(policy_dir=source, org_dir=folder), compiled.bundle) is None


def test_where_a_bundle_or_a_signature_is_asked_for_it_is_neither(compiled: Pack, tmp_path: Path) -> None:
    key = public_key(tmp_path / "keys" / "k.pem", MAKE["ed"]())
    for origin in (Origin(bundle=compiled.bundle), Origin(keys=key.parent)):
        assert ready_made(origin, compiled.bundle) is None


def test_one_that_is_damaged_is_refused(compiled: Pack, source: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "policy.tar.gz"
    damaged.write_bytes(compiled.bundle.read_bytes()[:-1000])
    with pytest.raises(PackRefused):
        ready_made(Origin(policy_dir=source), damaged)


def test_it_is_kept_with_the_policies_that_were_in_force(compiled: Pack, tmp_path: Path) -> None:
    ready = kept(compiled, tmp_path / "policy")
    assert ready.bundle == bundle_of(tmp_path / "policy", compiled.revision)
    assert ready.bundle.read_bytes() == compiled.bundle.read_bytes()
    assert [file.name for file in (tmp_path / "policy").iterdir()] == [ready.bundle.name]
