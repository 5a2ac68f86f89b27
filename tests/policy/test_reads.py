"""What a rule reads is found by reading it: everything that can change its answer, wherever the rule takes it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.policy.compiler import Compiler
from pdp.policy.facts import facts_of, values_of
from pdp.policy.form import ASKED
from pdp.policy.masked import masked_reads
from pdp.policy.pack import Pack
from pdp.policy.patch import leaves
from pdp.policy.reads import EACH, Place, Reads, reads_of
from tests.policy.engine import Asked

pytestmark = pytest.mark.promise("policy.reads")


def parsed(opa: Path, folder: Path, files: dict[str, str]) -> dict[str, Any]:
    """Return OPA's parses of small files, by code."""
    return Compiler(opa).parse({code: f"package {code}\n\n{text}" for code, text in files.items()}, folder)


def facts(reads: Reads) -> set[str]:
    """Return the facts as words."""
    return {".".join(path) for path in reads.facts}


@pytest.fixture(scope="module")
def modules(opa: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the parses of the shipped rules and words."""
    files = [file for file in source.glob("*/*.rego") if not file.name.endswith("_test.rego")]
    texts = {f"{file.parent.name}.{file.stem}": file.read_text() for file in files}
    return Compiler(opa).parse(texts, tmp_path_factory.mktemp("parse"))


LIB = """
at_most(value, limit) if {
	is_number(value)
	value <= limit
}

named(tool) := concat("/", [tool.server, tool.name])

every_one(items) if {
	every item in items { item.ready == true }
}

kind("path", place) if startswith(place.path, "/")
"""
HOLDS = {
    "holds if input.risk.score == 1": {"risk.score"},
    "holds if _part\n\n_part if input.now == input.clock.date": {"now", "clock.date"},
    "holds if {\n\tsome held in input.caller.person.entitlements\n\theld.permission == input.tool.name\n}": {
        "caller.person.entitlements.*.permission",
        "tool.name",
    },
    "import data.lib.words\n\nholds if words.at_most(input.arguments.amount, 3)": {"arguments.amount"},
    "import data.lib.words as w\n\nholds if w.named(input.tool) == input.tool.owner": {
        "tool.server",
        "tool.name",
        "tool.owner",
    },
    "holds if {\n\ttool := input.tool\n\tdata.lib.words.named(tool) == 1\n}": {"tool.server", "tool.name"},
    "import data.lib.words\n\nholds if words.every_one(input.risk.evidence)": {"risk.evidence.*.ready"},
    'import data.lib.words\n\nholds if words.kind(input.facts.kind, input.parsed["/file"])': {
        "facts.kind",
        "parsed./file.path",
    },
    "holds if input.parsed[input.tool.name].path == 1": {"parsed", "tool.name"},
    "holds if input.tool.labels[_] == 1": {"tool.labels.*"},
    "holds if [x | some x in input.tool.labels; x == input.now] == []": {"tool.labels.*", "now"},
    "holds if {\n\tsome place, names in input.tool.argument_labels\n\tplace in names\n}": {"tool.argument_labels.*"},
    "holds if data.config.guards.mine[input.tool.risk_class] == 1": {"tool.risk_class"},
    "holds if {\n\tof.name == 1\n\theld.via == 1\n\tof := input.tool\n\tsome held in input.risk.evidence\n}": {
        "risk.evidence.*.via",
        "tool.name",
    },
    'holds if input.tool.name in ["", "x"]': {"tool.name"},
    "holds := _answer\n\n_answer := input.now": {"now"},
}


@pytest.mark.parametrize("text", HOLDS)
def test_a_fact_is_followed_wherever_the_rule_takes_it(opa: Path, tmp_path: Path, text: str) -> None:
    known = parsed(opa, tmp_path, {"guards.mine": text, "lib.words": LIB})
    assert facts(reads_of("guards.mine", known)) == HOLDS[text]


def test_a_value_of_config_is_found_under_the_fact_that_names_it(opa: Path, tmp_path: Path) -> None:
    text = "import data.config\n\nholds if config.guards.mine[input.tool.risk_class] == config.guards.mine.all"
    reads = reads_of("guards.mine", parsed(opa, tmp_path, {"guards.mine": text}))
    by_class = Place("config", ("guards", "mine", Place("input", ("tool", "risk_class"))))
    assert set(reads.values) == {by_class, Place("config", ("guards", "mine", "all"))}
    config = {"guards": {"mine": {"read": 7, "write": 8, "all": 9}}}
    seen = {fact.pointer: fact.value for fact in values_of(reads, config, {"tool": {"risk_class": "write"}})}
    assert seen == {"/guards/mine/all": 9, "/guards/mine/write": 8}


def test_what_a_rule_reads_is_shown_with_what_stood_there(pack: Pack, modules: dict[str, Any], call: Any) -> None:
    seen = {fact.pointer: fact.value for fact in facts_of(reads_of("guards.token_scope", modules), call)}
    assert seen == {
        "/caller/mode": call["caller"]["mode"],
        "/caller/token/scopes": call["caller"]["token"]["scopes"],
        "/tool/required_scopes": call["tool"]["required_scopes"],
    }
    del call["caller"]["delegation"]
    missing = [
        fact for fact in facts_of(reads_of("guards.delegation_covers", modules), call) if fact.value is msgspec.UNSET
    ]
    assert [fact.pointer for fact in missing] == ["/caller/delegation"]


def test_a_masked_place_concerns_a_rule_that_reads_it_what_is_in_it_or_what_it_is_in() -> None:
    reads = Reads((("arguments", "card", "number"), ("caller", "person", "entitlements", EACH, "via")), ())
    concerned = [
        "/arguments/card",
        "/arguments/card/number",
        "/arguments/card/number/0",
        "/caller/person/entitlements/3",
    ]
    assert masked_reads(reads, concerned, {}, {}) == concerned
    assert masked_reads(reads, ["/arguments/order", "/context", "/arguments/card/owner"], {}, {}) == []


def test_a_masked_argument_concerns_the_rules_that_find_their_way_to_it(
    pack: Pack, modules: dict[str, Any], call: Any
) -> None:
    call["tool"]["argument_labels"] = {"/amount": ["money"], "/customer": ["personal"]}
    call["caller"]["person"]["entitlements"] = [
        {"id": "e", "permission": "call", "via": "direct", "expires_at": "9999-12-31T23:59:59Z", "constraints": []}
    ]
    amount, customer = "/arguments/amount", "/arguments/customer"

    def concerned(pointer: str) -> set[str]:
        reads = {code: reads_of(code, modules) for code in pack.rules}
        return {code for code in reads if masked_reads(reads[code], [pointer], call, pack.config)}

    assert concerned(customer) == set()
    assert concerned(amount) == {"gates.amount", "guards.arguments_in_bounds"}
    call["caller"]["person"]["entitlements"][0]["constraints"] = [{"pointer": "/customer", "op": "eq", "value": "c-1"}]
    assert concerned(customer) == {"permits.person_entitled"}
    assert masked_reads(Reads((("arguments",),), ()), [customer], call, {}) == [customer]


@pytest.mark.parametrize("asked", ["opa"], indirect=True)
def test_no_rule_of_the_pack_depends_on_anything_else(asked: Asked, pack: Pack, modules: dict[str, Any]) -> None:
    """Whatever a rule is not said to read is changed at once, in every case; its answer stays."""
    looked_at = 0
    for code, rule in pack.rules.items():
        reads = reads_of(code, modules)
        for table in pack.tables.values():
            for row in table.cases:
                call = json.loads(msgspec.json.encode(table.input_of(row)))
                other = spoilt(call, reads)
                assert other != call
                entrypoint = f"{rule.folder}/{rule.name}/{ASKED[rule.folder]}"
                assert asked(entrypoint, other) == asked(entrypoint, call), (code, row.case)
                looked_at += 1
    assert looked_at > 400


@pytest.mark.parametrize("asked", ["opa"], indirect=True)
def test_no_rule_of_the_pack_depends_on_an_argument_that_is_masked_where_it_does_not_look(
    asked: Asked, pack: Pack, modules: dict[str, Any]
) -> None:
    masked = 0
    for table in pack.tables.values():
        for row in table.cases:
            call = json.loads(msgspec.json.encode(table.input_of(row)))
            for code, rule in pack.rules.items():
                pointers = [f"/arguments/{name}" for name in call["arguments"]]
                seen = masked_reads(reads_of(code, modules), pointers, call, pack.config)
                hidden = {name: {"$masked": "x"} for name in call["arguments"] if f"/arguments/{name}" not in seen}
                other = call | {"arguments": call["arguments"] | hidden}
                entrypoint = f"{rule.folder}/{rule.name}/{ASKED[rule.folder]}"
                assert asked(entrypoint, other) == asked(entrypoint, call), (code, row.case)
                masked += len(hidden)
    assert masked > 200


def spoilt(call: dict[str, Any], reads: Reads) -> dict[str, Any]:
    """Return a copy in which everything outside `reads` is another value."""
    other: dict[str, Any] = json.loads(json.dumps(call))
    for path, _ in leaves(call):
        if not any(_covers(read, path) for read in reads.facts):
            parent: Any = other
            for step in path[:-1]:
                parent = parent[int(step)] if isinstance(parent, list) else parent[step]
            parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = "spoilt"
    return other


def _covers(read: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Say whether a leaf lies at or below what is read, or is an empty thing above it."""
    return all(step in {EACH, other} for step, other in zip(read, path, strict=False))
