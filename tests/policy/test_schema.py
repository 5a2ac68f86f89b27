"""Misspelt fields, misspelt values and forbidden built-ins are found before a rule is loaded, in every folder."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.decide import PolicyInput
from pdp.policy.pack import Pack, PackRefused, build_pack
from pdp.policy.schema import input_schema, input_schema_text
from tests.policy.rules import org

pytestmark = pytest.mark.promise("policy.schema")
Build = Callable[[Path], Pack]
BODIES = {
    "permits": "applies if {condition}\n\nconcerns if input.tool.name",
    "guards": "holds if {condition}",
    "gates": "open if {condition}",
    "duties": 'duty := {{"type": "none"}} if {condition}',
}


def test_the_schema_in_the_pack_is_that_of_the_input_we_send(source: Path) -> None:
    assert (source / "schemas/input.json").read_text() == input_schema_text(), (
        "pdp policy schema > rego/schemas/input.json"
    )


def test_the_schema_leaves_nothing_open_but_what_is_open() -> None:
    """OPA does not look into `anyOf`, nor into an enum without a type."""
    definitions = input_schema()["$defs"]
    text = json.dumps(definitions)
    assert "anyOf" not in text
    assert '"null"' not in text
    bare = [(name, key) for name, schema in definitions.items() for key, of in schema["properties"].items() if not of]
    assert bare == [("Constraint", "value")]


def test_a_real_input_fits_the_schema(call: dict[str, Any]) -> None:
    import jsonschema_rs

    sent = json.loads(msgspec.json.encode(msgspec.convert(call, PolicyInput)))
    assert jsonschema_rs.validator_for(input_schema()).is_valid(sent)


@pytest.mark.parametrize("folder", BODIES)
@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("input.caler.mode", "undefined ref: input.caler.mode. There are: "),
        ('input.caller.person.rols == ["x"]', "rols"),
        ("{\n\tsome held in input.caller.person.entitlements\n\theld.permision\n}", "held.permision"),
        ('input.caller["mod"] == "x"', "mod"),
        ("{\n\ttool := input.tool\n\ttool.nme\n}", "nme"),
        ("_of(input.tool.labls)\n\n_of(x) if x", "labls"),
        ("input.tool.name == 5", "match error"),
        ("input.caller.mode in [5]", "match error"),
        ("data.config.gates.amont.label", "There are: amount, destructive, first_use, high_risk, out_of_hours."),
        ("data.config.gates.amount.lable == input.tool.name", "lable"),
    ],
)
def test_a_misspelt_field_or_value_is_refused_with_those_there_are(
    folder: str, condition: str, says: str, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(PackRefused) as refused:
        build(org(tmp_path, folder, BODIES[folder].format(condition=condition)))
    assert says in str(refused.value)
    assert {problem.file for problem in refused.value.problems} == {f"org/{folder}/mine.rego"}
    assert all(problem.line >= 13 for problem in refused.value.problems)


@pytest.mark.parametrize("name", ["lib/number.rego", "pdp/decision.rego"])
def test_a_misspelt_field_in_what_rules_are_written_in_is_refused(
    name: str, opa: Path, copied: Path, tmp_path: Path
) -> None:
    file = copied / name
    file.write_text(file.read_text() + '\nmine if input.caler.mode == "x"\n')
    with pytest.raises(PackRefused, match=r"undefined ref: input\.caler\.mode"):
        build_pack(opa, copied, None, tmp_path / "built")


def test_a_pack_for_another_version_of_the_input_is_refused(opa: Path, copied: Path, tmp_path: Path) -> None:
    file = copied / "schemas/input.json"
    file.write_text(file.read_text().replace('"first_use"', '"second_use"'))
    with pytest.raises(PackRefused, match="pdp policy schema"):
        build_pack(opa, copied, None, tmp_path / "built")


CALLS = [
    "time.now_ns()",
    'http.send({"method": "GET", "url": "http://x"})',
    'net.lookup_ip_addr("x")',
    "opa.runtime()",
    "uuid.rfc4122(input.tool.name)",
    'rand.intn("x", 5)',
    'crypto.x509.parse_and_verify_certificates("x")',
    'sprintf("%s", [input.tool.name])',
    'crypto.sha256("x")',
    'semver.compare("1.0.0", "1.0.0")',
    "trace(input.tool.name)",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["guards", "lib"])
def test_clock_network_randomness_and_what_wasm_lacks_are_refused(
    call: str, name: str, opa: Path, copied: Path, tmp_path: Path
) -> None:
    folder = None
    if name == "lib":
        file = copied / "lib/number.rego"
        file.write_text(file.read_text() + f"\nmine if {call}\n")
    else:
        folder = org(tmp_path, "guards", f"holds if {call}")
    with pytest.raises(PackRefused, match="undefined function"):
        build_pack(opa, copied, folder, tmp_path / "built")


def test_every_allowed_built_in_is_opas_own_and_always_answers_the_same(source: Path, opa: Path) -> None:
    allowed = json.loads((source / "capabilities.json").read_text())
    said = subprocess.run([opa, "capabilities", "--current"], capture_output=True, check=True).stdout
    current = {entry["name"]: entry for entry in json.loads(said)["builtins"]}
    for entry in allowed["builtins"]:
        own = current[entry["name"]]
        assert not own.get("nondeterministic"), entry["name"]
        assert len(own["decl"]["args"]) == len(entry["decl"]["args"])
        assert own.get("infix") == entry.get("infix")
    assert allowed["features"] == ["rego_v1"]
    assert allowed["future_keywords"] == []
