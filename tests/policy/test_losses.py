"""What a loss is, what a gain is, and which losses are worth trying."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.decide import Reply
from pdp.policy.losses import (
    RESTRICTIONS,
    Gain,
    Loss,
    Untried,
    gains,
    losses,
    pruned,
    reads,
    shrunk,
    spoilt,
    touches,
)
from pdp.policy.pack import Pack, PackRefused, build_pack
from tests.policy.engine import Asked
from tests.policy.test_cases import TABLES

pytestmark = pytest.mark.promise("policy.no_gain_by_loss")
INPUTS = [msgspec.to_builtins(table.input_of(row)) for table in TABLES for row in table.cases]
ALLOWED = Reply("allow", ["permits.a"], [], [], [], "r")


def reply(**changes: Any) -> Reply:
    """Return an allowing verdict with changes."""
    return msgspec.structs.replace(ALLOWED, **changes)


def test_every_field_is_lost_in_five_ways() -> None:
    found = {str(loss) for loss in losses({"risk": {"evidence": [{"code": "x"}]}})}
    assert found == {
        f"input.risk{below} {how}"
        for below in ("", ".evidence", ".evidence[0]", ".evidence[0].code")
        for how in ("removed", "replaced by null", "replaced by true", "replaced by []", "replaced by {}")
    }


@pytest.mark.parametrize(
    ("document", "path", "instead"),
    [
        ({"tool": {"labels": ["a"]}}, ("tool", "labels"), "[]"),
        ({"tool": {"labels": ["a"]}}, ("tool", "labels", 0), "removed"),
        ({"tool": {"argument_labels": {"/a/b": ["a"]}}}, ("tool", "argument_labels", "/a/b"), "removed"),
        ({"caller": {"person": {"groups": ["a"]}}}, ("caller", "person", "groups"), "[]"),
        ({"arguments": {"to": ["a"]}}, ("arguments", "to"), "[]"),
        ({"arguments": {"dry_run": False}}, ("arguments", "dry_run"), "true"),
        ({"tool": {"labels": "a"}}, ("tool", "labels"), "[]"),  # that a tool has none is said, whatever stood there
    ],
)
def test_a_statement_is_not_a_loss(document: Any, path: Any, instead: str) -> None:
    assert Loss(path, instead) not in set(losses(document))
    assert {"null", "{}" if instead != "{}" else "[]"} <= {
        loss.instead for loss in losses(document) if loss.path == path
    }


@pytest.mark.parametrize(
    ("document", "path", "instead"),
    [
        ({"arguments": {"to": "a"}}, ("arguments", "to"), "[]"),  # text is not a list that got shorter
        ({"arguments": {"to": "a"}}, ("arguments", "to"), "removed"),
        ({"caller": {"token": {"scopes": ["a"]}}}, ("caller", "token", "scopes"), "[]"),
        ({"caller": {"person": {"entitlements": [{}]}}}, ("caller", "person", "entitlements", 0), "removed"),
    ],
)
def test_what_is_no_statement_is_a_loss(document: Any, path: Any, instead: str) -> None:
    assert Loss(path, instead) in set(losses(document))


def test_the_pack_itself_takes_less_at_its_word() -> None:
    document = {"caller": {"person": {"groups": ["a"]}}, "arguments": {"to": ["a"], "now": False}}
    assert set(losses(document)) < set(losses(document, RESTRICTIONS))


def test_a_loss_spoils_a_copy() -> None:
    document = {"a": [{"b": 1}]}
    assert spoilt(document, Loss(("a", 0, "b"), "removed")) == {"a": [{}]}
    assert spoilt(document, Loss(("a", 0), "{}")) == {"a": [{}]}
    assert spoilt(document, Loss(("a", 1, "b"), "null")) == document == {"a": [{"b": 1}]}


@pytest.mark.parametrize(
    ("before", "after", "gained"),
    [
        (ALLOWED, ALLOWED, []),
        (ALLOWED, None, []),
        (reply(), reply(permits=["permits.a", "permits.b"]), [Gain("permits.b", "applies")]),
        (reply(effect="deny", broken_guards=["guards.a"]), reply(), [Gain("guards.a", "holds")]),
        (reply(effect="deny", broken_guards=["guards.a"]), reply(effect="deny", broken_guards=["guards.b"]), ["a"]),
        (reply(effect="needs_approval", shut_gates=["gates.a"]), reply(), [Gain("gates.a", "is open")]),
        (reply(), reply(effect="needs_approval", shut_gates=["gates.a"]), []),
        (reply(effect="deny"), reply(), [Gain("pdp.decision", "says allow instead of deny")]),
        (reply(duties=[{"type": "notify"}]), reply(), [Gain("duties", "are less: notify")]),
        (reply(duties=[{"type": "notify"}]), reply(effect="deny"), []),  # an unknown duty denies
    ],
)
def test_a_gain_is_a_yes_that_was_none_in_any_rule(before: Reply, after: Reply | None, gained: list[Any]) -> None:
    found = gains(before, after)
    assert found == gained or gained == ["a"] == [gain.code.removeprefix("guards.") for gain in found]


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        ([{"type": "redact", "pointers": ["/a"]}], [{"type": "redact", "pointers": ["/b", "/a"]}], False),
        ([{"type": "redact", "pointers": ["/a", "/b"]}], [{"type": "redact", "pointers": ["/a"]}], True),
        ([{"type": "redact", "pointers": ["/a"]}], [{"type": "redact", "pointers": "/a"}], True),
        ([{"type": "redact", "pointers": []}], [], True),
        ([{"type": "redact", "pointers": ["/a"]}] * 2, [{"type": "redact", "pointers": ["/a"]}], False),
        ([{"type": "limit", "max_items": 5}], [{"type": "limit", "max_items": 4}], False),
        ([{"type": "limit", "max_items": 5}], [{"type": "limit", "max_items": 6}], True),
        ([{"type": "limit", "max_items": 5}], [{"type": "limit"}], True),
        ([{"type": "limit", "max_items": 5}], [{"type": "limit", "max_items": None}], True),
        ([{"type": "limit"}], [{"type": "limit", "max_items": 6}], False),
        ([{"type": "notify", "to": ["a"]}], [{"type": "notify", "to": ["a", "b"]}], False),
        ([{"type": "notify", "to": ["a"]}], [{"type": "limit", "to": ["a"]}], True),
        ([{"type": "later", "value": 5}], [{"type": "later", "value": 5}], False),
        ([{"type": "later", "value": 5}], [{"type": "later", "value": 4}], True),  # nobody said which way is stricter
        ([], [{"type": "redact", "pointers": ["/a"]}], False),
    ],
)
def test_a_duty_shrinks_when_something_is_not_owed_any_more(before: Any, after: Any, *, less: bool) -> None:
    assert (shrunk(before, after) is not None) is less


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("holds if input.risk.score == 1", {("risk", "score")}),
        ("holds if input.arguments[input.tool.name]", {("arguments",), ("tool", "name")}),
        ('holds if input.caller["mode"]', {("caller",)}),
        ('holds if input["caller"].mode', {()}),
        ("x := input", {()}),
        ("# input.now is not read\nholds if 1 == 1 # nor input here, but who knows", {()}),
        ("holds if {\n\tx := `\n#`; input.now == x\n}", {("now",)}),
        ("holds if my_input.x", set()),
        ("holds if {\n\tinput.a.b\n\tinput.c\n}", {("a", "b"), ("c",)}),
    ],
)
def test_the_text_of_a_rule_says_what_it_reads(text: str, read: Any) -> None:
    assert reads(text) == read


def test_a_loss_touches_what_is_above_and_below_it() -> None:
    wanted = [("risk", "score")]
    assert all(touches(path, wanted) for path in [("risk",), ("risk", "score"), ("risk", "score", "x")])
    assert not any(touches(path, wanted) for path in [("risk", "level"), ("tool",)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_no_rule_reads_changes_no_verdict(data: st.DataObject, asked: Asked, pack: Pack) -> None:
    """So that it is enough to try losses on the part of an input that rules read."""
    wanted = frozenset().union(*(reads(rule.text) for rule in pack.rules.values()), {("approval", "gates")})
    document = data.draw(st.sampled_from(INPUTS))
    loss = data.draw(st.sampled_from(list(losses(document))))
    lost = spoilt(document, loss)
    assert asked.verdict(pruned(lost, wanted)) == asked.verdict(lost)
    if not touches(loss.path, wanted):
        assert asked.verdict(lost) == asked.verdict(document)


def test_only_what_could_gain_is_tried_and_each_thing_once() -> None:
    untried = Untried({"guards.a": "holds if input.risk.score == 1", "guards.b": "holds if input.now"}, {})
    document = {"risk": {"score": 5, "level": "x"}, "now": "x"}
    before = reply(effect="deny", broken_guards=["guards.a"])
    tried = [attempt.loss for attempt in untried.of(document, before)]
    assert {loss.path for loss in tried} == {("risk",), ("risk", "score")}
    assert [*untried.of(document | {"now": "y"}, before)] == []  # the same facts, as far as guards.a knows
    assert len([*untried.of({"risk": {"score": 6}}, before)]) == len(tried)
    assert [*untried.of({"risk": {"score": 7}}, ALLOWED)] == []  # nothing said no


def test_a_duty_is_tried_where_the_call_goes_on() -> None:
    """On a call that is denied anyway nobody sees it shrink, so that says nothing about the next call."""
    untried = Untried({"duties.a": "duty := input.tool.owner", "guards.a": "holds if input.now"}, {})
    document, owed = {"tool": {"owner": "x"}, "now": "y"}, [{"type": "redact"}]
    assert [*untried.of(document, reply(effect="deny", permits=[], duties=owed))] == []
    tried = [attempt.loss for attempt in untried.of(document, reply(duties=owed))]
    assert {loss.path for loss in tried} == {("tool",), ("tool", "owner")}
    assert [*untried.of(document | {"now": "z"}, reply(duties=owed))]  # guards.a may let this one go on


def test_a_rule_is_tried_as_often_as_said() -> None:
    untried = Untried({"guards.a": "holds if input.risk.score == 1"}, {"guards.a": 1})
    before = reply(effect="deny", broken_guards=["guards.a"])
    assert [*untried.of({"risk": {"score": 5}}, before)]
    assert [*untried.of({"risk": {"score": 6}}, before)] == []


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("risky if input.risk.score == 5", "input.risk.score"),
        ("risky(_) if not data.guards.amount.holds", "data.guards.amount.holds"),
        ("risky(_) if data.cases", "data.cases"),
        ("risky(x) if x in [input]", "input"),
        ('risky(x) if x in ["`", `\n#`, input.tool.owner, "`"]', "input.tool.owner"),
        ("risky(x) if data.manifest.revision == x", "data.manifest.revision"),
    ],
)
def test_a_word_that_reads_by_itself_is_refused(code: str, what: str, opa: Path, copied: Path, tmp_path: Path) -> None:
    """The text of the rules would no longer say what their answers rest on."""
    file = copied / "lib/number.rego"
    file.write_text(f"{file.read_text()}\n{code}\n")
    with pytest.raises(PackRefused, match=rf"lib/number\.rego: A word of lib reads `{re.escape(what)}`"):
        build_pack(opa, copied, None, tmp_path / "built")


def test_a_raw_string_hides_no_fact_behind_what_looks_like_a_comment() -> None:
    hidden = 'some x in ["`", `\n#`, input.tool.owner, "`"]'
    assert ("tool", "owner") in reads(
        f"# METADATA\n# title: `input.now`\npackage guards.x\n\nholds if {{\n{hidden}\n}}\n"
    )
    assert reads("# METADATA\n# `input.now`\npackage guards.x\n# input.risk\nholds if input.tool.name") == {
        ("tool", "name")
    }
