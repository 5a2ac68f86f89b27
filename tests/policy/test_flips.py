"""A change that is said to flip a verdict does: another OPA, which nobody of ours asks, says so too."""

import copy
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.decide import Reply, verdict_from
from pdp.policy.archive import read_archive
from pdp.policy.bundle import read_content
from pdp.policy.cases import Row
from pdp.policy.compiler import Compiler
from pdp.policy.explain import Explanation, explain
from pdp.policy.flips import harmful, helpful
from pdp.policy.pack import Pack, build_pack
from pdp.policy.patch import Change, Op
from pdp.policy.replay import Judge, judging
from pdp.registry.parsed import read_path, read_url, take_apart
from tests.policy.engine import Asked, running
from tests.policy.rules import rule, write

pytestmark = pytest.mark.promise("policy.why")


def applied(document: Any, patch: Sequence[Op]) -> Any:
    """Apply a JSON Patch as RFC 6902 says, without the code under test."""
    document = copy.deepcopy(document)
    for op in patch:
        parent = document
        *above, last = [part.replace("~1", "/").replace("~0", "~") for part in op.path.split("/")[1:]]
        for part in above:
            parent = parent[int(part)] if isinstance(parent, list) else parent[part]
        key: Any = last
        if isinstance(parent, list):
            key = len(parent) if last == "-" else int(last)
            if op.op == "add":
                parent.insert(key, op.value)
                continue
        if op.op == "remove":
            del parent[key]
        else:
            parent[key] = op.value
    return document


@pytest.fixture(scope="module")
def modules(opa: Path, pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the parses of the default pack."""
    return parses(opa, pack, tmp_path_factory.mktemp("parse"))


def parses(opa: Path, pack: Pack, folder: Path) -> dict[str, Any]:
    """Return OPA's parse of every file of a bundle, by code."""
    content = read_content(read_archive(pack.bundle), pack.bundle)
    return Compiler(opa).parse({source.code: source.text for source in content.sources}, folder)


@pytest.fixture
async def judge(opa: Path, pack: Pack) -> AsyncIterator[Judge]:
    """Return what judges by the default pack."""
    async with judging(pack, opa) as found:
        yield found


async def explained(call: dict[str, Any], judge: Judge, modules: dict[str, Any], **more: Any) -> Explanation:
    """Explain an input as if it had been recorded just so."""
    verdict = verdict_from(await judge.judge(msgspec.json.encode(call)), judge.pack)
    record = {
        "input": call,
        "decision": verdict.effect,
        "reasons": [{"code": reason.code} for reason in verdict.reasons],
        "permits": verdict.permits,
        "duties": verdict.duties,
    }
    return await explain(record, judge, modules, **{"everything": False, **more})


def rows(pack: Pack) -> list[tuple[Row, dict[str, Any]]]:
    """Return every case with its input."""
    tables = pack.tables.values()
    return [(row, json.loads(msgspec.json.encode(table.input_of(row)))) for table in tables for row in table.cases]


@pytest.mark.timeout(120)
async def test_every_flip_of_the_cases_is_true_and_every_no_has_one(
    judge: Judge, modules: dict[str, Any], pack: Pack, asked: Asked
) -> None:
    shown, allowed = 0, 0
    for row, call in rows(pack):
        if row.expect == "allow" and (allowed := allowed + 1) % 5:  # what an allow hangs on takes longest to find
            continue
        told = await explained(call, judge, modules)
        assert not told.replayed.differs
        found = told.hangs_on if row.expect == "allow" else told.flips
        assert found is not None
        assert found.flips, row.case
        for flip in found.flips:
            assert asked.verdict(applied(call, flip.patch))["effect"] == flip.becomes != row.expect, (row.case, flip)
            shown += 1
    assert shown > 150


SAYS = {
    "a token without the scope is denied": 'caller.token.scopes gains "refunds"',
    "a refund beyond the right is denied, approved or not": "arguments.amount is 10000 instead of 10001",
    "a large refund inside the right needs a human": "arguments.amount is 5000 instead of 5001",
    "a negative refund is out of bounds": "arguments.amount is 0 instead of -1",
    "a very risky mail is denied, approved or not": "risk.score is 75.0 instead of 75.01",
    "what cannot be undone needs a human": "a human approves gates.destructive",
    "a risky deletion has two gates, and both must be approved": "a human approves gates.high_risk",
    "the delegation does not cover the tool": 'caller.delegation.scope gains "crm/read_customer"',
    "the delegation has run out": 'now is "2026-01-05T23:59:59Z" instead of "2026-01-06T00:00:00Z"',
    "the agent may not do that much, whatever it was let do": (
        'caller.agent.max_impact is "destructive" instead of "write"'
    ),
    "an agent that writes for another region is denied": 'arguments.region is "eu" instead of "cn"',
    "a refund without an amount is out of bounds and outside the right": "arguments.amount is 0 (it was missing)",
}


@pytest.mark.parametrize("case", SAYS)
async def test_the_fact_that_an_operator_would_change_is_named(
    judge: Judge, modules: dict[str, Any], pack: Pack, case: str
) -> None:
    (call,) = [call for row, call in rows(pack) if row.case == case]
    told = await explained(call, judge, modules)
    assert told.flips is not None
    assert SAYS[case] in {flip.words for flip in told.flips.flips}


async def test_a_number_is_given_to_its_edge(judge: Judge, modules: dict[str, Any], call: Any, asked: Asked) -> None:
    call["arguments"]["amount"] = 20000
    told = await explained(call, judge, modules)
    assert told.flips is not None
    amounts = [flip for flip in told.flips.flips if flip.words.startswith("arguments.amount is ")]
    assert [(flip.becomes, flip.words, flip.edge) for flip in amounts] == [
        ("allow", "arguments.amount is 5000 instead of 20000", "5001: needs_approval"),
        ("needs_approval", "arguments.amount is 10000 instead of 20000", "10001: deny"),
    ]
    for amount, effect in ((5001, "needs_approval"), (10001, "deny")):
        call["arguments"]["amount"] = amount
        assert asked.verdict(call)["effect"] == effect


async def test_several_objections_are_met_together_and_with_no_more_than_needed(
    judge: Judge, modules: dict[str, Any], pack: Pack, asked: Asked
) -> None:
    (call,) = [call for row, call in rows(pack) if row.case == "there is no delegation"]
    told = await explained(call, judge, modules)
    assert told.flips is not None
    (flip,) = told.flips.flips
    assert [words.split(" is ")[0].split(" gains ")[0] for words in flip.changes] == [
        "caller.delegation",
        "caller.person.entitlements",
    ]
    for left_out in flip.patch:
        fewer = [op for op in flip.patch if op is not left_out]
        assert asked.verdict(applied(call, fewer))["effect"] == "deny"


async def test_a_change_that_a_later_one_makes_needless_is_taken_out(judge: Judge, call: Any) -> None:
    call["caller"]["token"]["scopes"] = []
    call["caller"]["agent"]["ceiling"] = []
    first = Change(("a",), "the scopes", [Op("replace", "/caller/token/scopes", ["refunds"])])
    wider = [*first.patch, Op("replace", "/caller/agent/ceiling", ["*/*"])]

    def one_after_the_other(call: dict[str, Any], reply: Reply) -> list[Change]:
        _ = call
        return [first] if len(reply.broken_guards) > 1 else [Change(("b",), "scopes and ceiling", wider)]

    (flip,) = (await helpful(call, judge, one_after_the_other)).flips
    assert (flip.becomes, flip.changes) == ("allow", ["scopes and ceiling"])


async def test_what_decided_is_told_with_its_words_and_what_it_read(
    judge: Judge, modules: dict[str, Any], pack: Pack, call: Any
) -> None:
    call["caller"]["token"]["scopes"] = ["profile"]
    (told,) = (await explained(call, judge, modules)).deciding
    known = pack.rules["guards.token_scope"]
    assert (told.code, told.says, told.title) == (known.code, "does not hold", known.title)
    assert (told.remedy, told.owner, told.file) == (known.remedy, known.owner, known.file)
    assert {fact.pointer: fact.value for fact in told.facts}["/caller/token/scopes"] == ["profile"]


async def test_the_search_ends_where_it_is_told_to_and_says_so(judge: Judge, pack: Pack, call: Any) -> None:
    from pdp.policy.candidates import replaced

    def amounts(call: dict[str, Any], reply: Any) -> Any:
        _ = reply
        return (replaced(("arguments", "amount"), call["arguments"]["amount"], 6000 + n) for n in range(500))

    found = await harmful(call, judge, amounts, evaluations=40)
    assert (found.evaluations, found.cut) == (40, True)
    assert [flip.becomes for flip in found.flips] == ["needs_approval"]
    whole = await harmful(call, judge, amounts)
    assert (whole.cut, whole.evaluations < 540) == (False, True)
    assert [flip.words for flip in whole.flips] == ["arguments.amount is 5001 instead of 4000"]
    assert (await helpful(call, judge, amounts)).flips == []


ORG = {
    "config.yaml": """
guards:
  our_hours: {from: 8, until: 18, weekdays: [0, 1, 2, 3, 4]}
  paths_contained: {others: [/reports]}
  hosts_allowed: {others: {schemes: [https], hosts: [intranet.example], ports: [443]}}
""",
    "guards/our_hours.rego": rule(
        "guards",
        "our_hours",
        """import data.config
import data.lib.number

holds if {
	number.between(input.clock.hour, config.guards.our_hours.from, config.guards.our_hours.until)
	input.clock.weekday in config.guards.our_hours.weekdays
}""",
        "caller",
    ),
    "guards/our_staff.rego": rule(
        "guards",
        "our_staff",
        'import data.lib.list\n\nholds if list.contains_all(input.caller.person.groups, ["staff"])',
        "caller",
    ).replace("good: {tool: {name: x}}", "good: {caller: {person: {groups: [staff]}}}"),
    "guards/our_known_tool.rego": rule(
        "guards", "our_known_tool", "holds if _used\n\n_used if input.facts.first_use == false", "caller"
    ),
}
AT_NOON = Op("replace", "/clock/hour", 12)
CHANGES = {
    "late": ([], "clock.hour is 18 instead of 23"),
    "sunday": ([AT_NOON, Op("replace", "/clock/weekday", 6)], "clock.weekday is 4 instead of 6"),
    "contractor": (
        [AT_NOON, Op("replace", "/caller/person/groups", ["contractors"])],
        'caller.person.groups gains "staff"',
    ),
    "first": ([AT_NOON, Op("replace", "/facts/first_use", value=True)], "facts.first_use is false instead of true"),
    "elsewhere": (
        [
            AT_NOON,
            Op("replace", "/arguments/file", "/etc/passwd"),
            Op("replace", "/parsed/~1file", read_path("/etc/passwd")),
        ],
        'arguments.file is "/reports" instead of "/etc/passwd"',
    ),
    "abroad": (
        [
            AT_NOON,
            Op("replace", "/arguments/url", "https://x.example/"),
            Op("replace", "/parsed/~1url", read_url("https://x.example/")),
        ],
        'arguments.url is "https://intranet.example/" instead of "https://x.example/"',
    ),
}


async def test_the_rules_of_an_organisation_get_flips_as_well(
    opa: Path, source: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, call: Any
) -> None:
    pack = build_pack(opa, source, write(tmp_path / "org", ORG), tmp_path / "built")
    known = parses(opa, pack, tmp_path)
    call["clock"] |= {"hour": 23, "weekday": 2}
    call["caller"]["person"]["groups"] = ["staff"]
    call["facts"]["first_use"] = False
    call["tool"]["argument_labels"] |= {"/file": ["path"], "/url": ["url"]}
    call["arguments"] |= {"file": "/reports/may", "url": "https://intranet.example/"}
    call["parsed"] = msgspec.to_builtins(take_apart(call["arguments"], call["tool"]["argument_labels"]))
    with running(opa, tmp_path_factory.mktemp("s"), "--bundle", str(pack.bundle)) as asked:
        async with judging(pack, opa) as judge:
            for name, (change, words) in CHANGES.items():
                changed = msgspec.to_builtins(applied(call, change))
                found = (await explained(changed, judge, known)).flips
                assert found is not None
                assert words in {flip.words for flip in found.flips}, (name, found.flips)
                for flip in found.flips:
                    assert asked.verdict(applied(changed, flip.patch))["effect"] == flip.becomes
