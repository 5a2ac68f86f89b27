"""Every row of the table "What fails open in a positive-form pack" (research policy-checked.md), with a real OPA.

A row is kept twice where it can be: the pack is refused when it is built, and where it got into a running OPA all the
same (a tampered bundle), the call is denied.
"""

import asyncio
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pdp.engine import VERDICT
from pdp.engine.compiled import load
from pdp.engine.opa import OpaClient
from pdp.errors import Refused
from pdp.policy.pack import Pack, PackRefused, build_pack, probe
from tests.policy.engine import Asked, InProcess, compile_rules, running
from tests.policy.rules import org, write

pytestmark = pytest.mark.promise("policy.fails_closed")
Build = Callable[[Path], Pack]
GUARD = "guards/token_scope.rego"
CODE = "guards.token_scope"
ODD_LISTS: list[Any] = [None, {}, "x", True]  # None: removed

NEVER_TRUE = {
    "undefined": "holds if input.nothing == 1",
    "false": "holds := false",
    "a function": "holds(_) if input.tool.name",
    "misspelt": "hold if input.tool.name",
    "a division by zero": "holds if 1 / 0 == 0",
    "text that is no number": 'holds if to_number("x") == 0',
    "zero": "holds := 0",
    "text": 'holds := "no"',
    "null": "holds := null",
    "an empty set": "holds contains x if some x in input.nothing",
    "an empty object": "holds[x] := 1 if some x in input.nothing",
    "an empty list": "holds := []",
}


@pytest.fixture(params=["opa", pytest.param("wasm", marks=pytest.mark.slow)])
def in_engine(
    request: pytest.FixtureRequest, opa: Path, unpacked: Path, tmp_path: Path
) -> Callable[[dict[str, Any]], Any]:
    """Return what asks a fresh engine, running the folder that the test tampered with, for its verdict."""

    def by_opa(document: dict[str, Any]) -> Any:
        with running(opa, tmp_path, "--bundle", str(unpacked)) as asked:
            return asked.verdict(document)

    def compiled(document: dict[str, Any]) -> Any:
        return InProcess(load(compile_rules(opa, unpacked, [VERDICT], tmp_path / "compiled.tar.gz"))).verdict(document)

    return compiled if request.param == "wasm" else by_opa


def manifest_of(unpacked: Path) -> dict[str, Any]:
    """Return the whole data of an unpacked bundle."""
    data: dict[str, Any] = json.loads((unpacked / "data.json").read_text())
    return data


def test_the_call_these_tests_spoil_is_allowed(in_engine: Callable[..., Any], call: dict[str, Any]) -> None:
    assert in_engine(call)["effect"] == "allow"


@pytest.mark.parametrize("body", NEVER_TRUE.values(), ids=NEVER_TRUE)
def test_a_guard_that_never_says_true_denies_and_is_named(
    body: str, unpacked: Path, in_engine: Callable[..., Any], call: dict[str, Any]
) -> None:
    (unpacked / GUARD).write_text(f"package guards.token_scope\n\n{body}\n")
    verdict = in_engine(call)
    if verdict == Asked.ERROR:
        assert body == NEVER_TRUE["a function"], "only that is no value at all once it is compiled"
    else:
        assert (verdict["effect"], verdict["broken_guards"]) == ("deny", [CODE])


@pytest.mark.parametrize("name", sorted(NEVER_TRUE.keys() - {"undefined"}))
def test_a_guard_that_could_only_confuse_is_not_loaded(name: str, build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"org/guards/mine\.rego"):
        build(org(tmp_path, "guards", NEVER_TRUE[name]))


def test_a_guard_whose_file_is_missing_denies_and_is_named(
    unpacked: Path, in_engine: Callable[..., Any], call: dict[str, Any]
) -> None:
    (unpacked / GUARD).unlink()
    verdict = in_engine(call)
    assert (verdict["effect"], verdict["broken_guards"]) == ("deny", [CODE])


def test_a_guard_misspelt_in_the_manifest_denies_and_is_named(
    unpacked: Path, in_engine: Callable[..., Any], call: dict[str, Any]
) -> None:
    data = manifest_of(unpacked)
    data["manifest"]["guards"][data["manifest"]["guards"].index("token_scope")] = "token_scop"
    (unpacked / "data.json").write_text(json.dumps(data))
    verdict = in_engine(call)
    assert (verdict["effect"], verdict["broken_guards"]) == ("deny", ["guards.token_scop"])


@pytest.mark.parametrize(
    "body",
    [
        "holds if _limit == 1\n\n_limit := 1 if input.tool.server\n\n_limit := 2 if input.tool.name",
        "holds if _limit(1) == 1\n\n_limit(x) := x if input.tool.server\n\n_limit(_) := 2 if input.tool.name",
    ],
    ids=["two values of a rule", "two values of a function"],
)
async def test_rules_that_contradict_each_other_deny_the_call(
    body: str, source: Path, opa: Path, call: dict[str, Any], tmp_path: Path
) -> None:
    built = build_pack(opa, source, org(tmp_path, "guards", body), tmp_path / "built", wasm=True)
    assert InProcess(load(built.bundle)).verdict(call) == Asked.ERROR
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert asked.verdict(call) == asked.ERROR
        client = OpaClient(f"unix://{asked.socket}", built.revision)
        with pytest.raises(Refused) as refused:
            await client.evaluate(VERDICT, json.dumps(call).encode(), asyncio.get_running_loop().time() + 5)
        await client.close()
    assert refused.value.code == "engine.garbled"


def test_a_guard_is_asked_because_its_file_is_there(
    build: Build, opa: Path, call: dict[str, Any], tmp_path: Path
) -> None:
    built = build(org(tmp_path, "guards", 'holds if input.tool.name == "another"'))
    with running(opa, tmp_path, "--bundle", str(built.bundle)) as asked:
        assert asked.verdict(call)["broken_guards"] == ["guards.mine"]


@pytest.mark.parametrize(
    ("folder", "instead"),
    [
        *[(folder, odd) for folder in ("permits", "guards", "gates", "duties") for odd in ODD_LISTS],
        *[(folder, []) for folder in ("permits", "guards")],  # a pack may have no gates and no duties
    ],
)
@pytest.mark.fault("opa.empty_manifest")
def test_a_manifest_without_one_of_its_lists_denies(
    folder: str, instead: Any, unpacked: Path, in_engine: Callable[..., Any], call: dict[str, Any]
) -> None:
    data = manifest_of(unpacked)
    data["manifest"].pop(folder) if instead is None else data["manifest"].update({folder: instead})
    (unpacked / "data.json").write_text(json.dumps(data))
    assert in_engine(call)["effect"] == "deny"


@pytest.mark.fault("opa.empty_manifest")
def test_a_bundle_without_a_manifest_gives_no_verdict(
    unpacked: Path, in_engine: Callable[..., Any], call: dict[str, Any]
) -> None:
    data = manifest_of(unpacked)
    del data["manifest"]
    (unpacked / "data.json").write_text(json.dumps(data))
    assert in_engine(call) == Asked.UNDEFINED


@pytest.mark.parametrize("name", ["guards/ghost/data.json", "guards/data.yaml", "permits/data.json", "data.json"])
def test_a_rule_that_is_only_data_is_not_loaded(name: str, build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"^The policy pack is refused:\n  org/"):
        build(write(tmp_path / "org", {name: '{"holds": true, "applies": true}'}))


def test_data_in_the_folders_of_the_pack_itself_is_not_loaded(opa: Path, copied: Path, tmp_path: Path) -> None:
    write(copied, {"guards/token_scope/data.json": '{"holds": true}'})
    with pytest.raises(PackRefused, match="guards/token_scope"):
        build_pack(opa, copied, None, tmp_path / "built")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("guards/token_scope.rego", "guards.token_scope"),  # the same file again
        ("guards/mine.rego", "guards.token_scope"),  # another file, the same package
        ("gates/mine.rego", "guards.token_scope"),  # another folder, the same package
        ("guards/mine.rego", "guards.token_scope.more"),  # inside a rule's package
        ("guards/mine.rego", "pdp.decision"),
        ("guards/mine.rego", "manifest"),
    ],
)
def test_a_second_file_cannot_add_to_a_rule(name: str, package: str, build: Build, tmp_path: Path) -> None:
    file = org(tmp_path, "guards", "holds if input.tool.name") / "guards/mine.rego"
    text = file.read_text().replace("package guards.mine", f"package {package}")
    file.unlink()
    with pytest.raises(PackRefused, match=r"^The policy pack is refused:\n  org/"):
        build(write(tmp_path / "org", {name: text}))


@pytest.mark.parametrize("odd", [None, True, [], "money", {"/amount": "money"}, {"/amount": None}, {"/amount": [True]}])
def test_argument_labels_we_cannot_read_deny(odd: Any, asked: Asked, call: dict[str, Any]) -> None:
    call["tool"]["argument_labels"] = odd
    assert asked.verdict(call)["effect"] == "deny"


def test_missing_argument_labels_deny(asked: Asked, call: dict[str, Any]) -> None:
    del call["tool"]["argument_labels"]
    assert asked.verdict(call)["effect"] == "deny"


@pytest.mark.parametrize("odd", [None, True, [], "personal", {}])
def test_tool_labels_we_cannot_read_deny_rather_than_skip_the_redaction(
    odd: Any, asked: Asked, call: dict[str, Any]
) -> None:
    before = asked.verdict(call)
    assert before["duties"] == [{"type": "redact", "pointers": ["/date_of_birth", "/ssn"]}]
    call["tool"]["labels"] = odd
    after = asked.verdict(call)
    assert after["effect"] == ("allow" if odd == [] else "deny")  # a tool without labels is a tool without labels


@pytest.mark.parametrize("odd", [None, True, False, "4000", [], {}], ids=str)
def test_an_amount_that_is_no_number_denies(odd: Any, asked: Asked, call: dict[str, Any]) -> None:
    call["arguments"]["amount"] = odd
    verdict = asked.verdict(call)
    assert (verdict["effect"], verdict["permits"]) == ("deny", [])
    assert verdict["broken_guards"] == ["guards.arguments_in_bounds"]
    assert verdict["shut_gates"] == ["gates.amount"]


@pytest.mark.parametrize("odd", [None, True, {}, [], "", "never", "9999-12-31"], ids=str)
@pytest.mark.parametrize("place", ["entitlement", "delegation", "now"])
def test_a_time_that_is_no_time_denies(place: str, odd: Any, asked: Asked, call: dict[str, Any]) -> None:
    spoilt = deepcopy(call)
    if place == "entitlement":
        spoilt["caller"]["person"]["entitlements"][0]["expires_at"] = odd
    elif place == "delegation":
        spoilt["caller"]["delegation"]["expires_at"] = odd
    else:
        spoilt["now"] = odd
    assert asked.verdict(spoilt)["effect"] == "deny"


HOLD_ON_NOTHING = {
    "not": "holds if not input.tool.name",
    "not a helper": 'holds if not _is_contractor\n\n_is_contractor if "contractors" in input.caller.person.groups',
    "counting": 'holds if count([g | some g in input.caller.person.groups; g == "contractors"]) == 0',
    "set difference": "holds if {s | some s in input.tool.required_scopes} - {s | some s in []} == set()",
    "summing": "holds if sum([e.points | some e in input.risk.evidence]) <= 50",
    "object.get": 'holds if object.get(input.risk, "score", 0) < 50',
    "default": 'default holds := true\n\nholds := false if input.tool.name == "x"',
    "every": "holds if every g in input.caller.person.groups { g in data.config.guards }",
    "every over a comprehension": "holds if every x in [r | some r in input.caller.person.roles] { x }",
    "else": 'holds := false if input.tool.name == "x"\nelse := true',
    "a bare comparison": "holds if input.arguments.amount <= 80",
    "a comparison by another name": "holds if {\n\tamount := input.arguments.amount\n\tamount <= 80\n}",
    "a comparison in a part": "holds if _small(input.arguments.amount)\n\n_small(x) if x <= 80",
    "the whole input": "holds if _small(input)\n\n_small(x) if x.tool.name",
    "any key of the input": "holds if input[_].name",
    "with": "holds if data.guards.token_scope.holds with input as {}",
    "another rule": "holds if data.permits.person_entitled.applies",
    "base data": "holds if data.ghost.holds",
    "an approval": 'holds if "gates.amount" in input.approval.gates',
    "true": "holds := true",
    "nothing but constants": "holds if 1 == 1",
}


@pytest.mark.parametrize("body", HOLD_ON_NOTHING.values(), ids=HOLD_ON_NOTHING)
async def test_a_rule_that_holds_on_nothing_is_not_loaded(body: str, build: Build, opa: Path, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"org/guards/mine\.rego"):
        await _activate(build(org(tmp_path, "guards", body)), opa, tmp_path)


@pytest.mark.parametrize("line", ["import rego.v2", "import future.keywords.not", "import future.keywords.and"])
def test_later_dialects_of_rego_are_not_loaded(line: str, build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackRefused, match=r"org/guards/mine\.rego"):
        build(org(tmp_path, "guards", f"{line}\n\nholds if input.tool.name"))


async def _activate(built: Pack, opa: Path, folder: Path) -> None:
    """Probe the pack in a running OPA, as the PDP does before it uses it."""
    with running(opa, folder, "--bundle", str(built.bundle)) as asked:
        client = OpaClient(f"unix://{asked.socket}", built.revision)
        try:
            await probe(client, built)
        finally:
            await client.close()
