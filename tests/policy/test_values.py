"""config.yaml: read strictly, changed by an organisation key by key, and known to the checker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdp.policy.pack import Pack, PackRefused
from tests.policy.engine import running
from tests.policy.rules import org, write

pytestmark = pytest.mark.promise("policy.values")
Build = Callable[[Path], Pack]


def test_an_organisation_changes_one_value_and_keeps_the_others(
    build: Build, pack: Pack, opa: Path, call: dict[str, Any], tmp_path: Path
) -> None:
    built = build(write(tmp_path / "org", {"config.yaml": "gates: {amount: {open_up_to: 3999}}"}))
    assert built.config["gates"]["amount"] == {"label": "money", "open_up_to": 3999}
    assert built.config["guards"] == pack.config["guards"]
    assert built.revision != pack.revision
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert asked.verdict(call)["shut_gates"] == ["gates.amount"]


def test_bounds_for_one_tool_bind_that_tool(build: Build, opa: Path, call: dict[str, Any], tmp_path: Path) -> None:
    bounds = "guards: {arguments_in_bounds: {tools: {payments/create_refund: {/amount: {min: 1, max: 3999}}}}}"
    built = build(write(tmp_path / "org", {"config.yaml": bounds}))
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert asked.verdict(call)["broken_guards"] == ["guards.arguments_in_bounds"]
        call["tool"]["name"] = "another"
        assert asked.verdict(call)["broken_guards"] == []


def test_a_rule_of_the_organisation_has_values_of_its_own(
    build: Build, opa: Path, call: dict[str, Any], tmp_path: Path
) -> None:
    body = "import data.lib.number\n\nholds if number.at_most(input.risk.score, data.config.guards.mine.ceiling)"
    folder = write(org(tmp_path, "guards", body), {"config.yaml": "guards: {mine: {ceiling: 10}}"})
    with running(opa, tmp_path, "--bundle", str(build(folder).bundle)) as asked:
        assert asked.verdict(call)["broken_guards"] == ["guards.mine"]


def test_a_misspelt_value_of_an_own_rule_is_refused(build: Build, tmp_path: Path) -> None:
    body = "holds if data.config.guards.mine.celing == input.tool.name"
    folder = write(org(tmp_path, "guards", body), {"config.yaml": "guards: {mine: {ceiling: x}}"})
    with pytest.raises(PackRefused, match=r"celing. There are: ceiling"):
        build(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("guards: {risk_celing: {read: 1}}", "risk_celing"),
        ("guard: {}", "guard"),
        ("guards: {risk_ceiling: {write: '80'}}", "guards.risk_ceiling.write"),
        ("guards: {risk_ceiling: {write: 101}}", "guards.risk_ceiling.write"),
        ("guards: {risk_ceiling: {write: null}}", "guards.risk_ceiling.write"),
        ("guards: {risk_ceiling: 5}", "guards.risk_ceiling"),
        ("guards: {arguments_in_bounds: {labels: {money: {max: 5}}}}", None),  # only the upper bound changes
        ("guards: {arguments_in_bounds: {labels: {fee: {max: 5}}}}", "min"),
        ("gates: {destructive: {open_for: [reed]}}", "open_for"),
        ("duties: {redact: {labels: {personal: [ssn]}}}", "personal"),
        ("gates: {amount: {open_up_to: .nan}}", "cannot be read"),
        ("gates: {amount: {open_up_to: 1}}\ngates: {}", "stands twice"),
        ("gates: {1: {}}", "not text"),
        ("gates: [amount]", "holds permits, guards, gates and duties"),
        ("- gates", "holds permits, guards, gates and duties"),
        ("gates: {amount: {label: !!python/object:os.system {}}}", "not YAML"),
        ("gates: {", "not YAML"),
        ("", None),
    ],
)
def test_a_value_that_is_not_one_is_refused_with_its_key(
    text: str, says: str | None, build: Build, tmp_path: Path
) -> None:
    folder = write(tmp_path / "org", {"config.yaml": text})
    if says is None:
        assert build(folder).rules
        return
    with pytest.raises(PackRefused, match=says) as refused:
        build(folder)
    assert {problem.file for problem in refused.value.problems} == {"org/config.yaml"}
