"""Which tools a caller may see: one query for a list, from the rules that do not look at the call."""

import time
from copy import deepcopy
from typing import Any

import msgspec
import pytest

from pdp.policy.pack import Pack
from tests.policy.engine import Asked
from tests.policy.test_cases import TABLES

pytestmark = pytest.mark.promise("policy.visible")
CASES = [(row, msgspec.to_builtins(table.input_of(row))) for table in TABLES for row in table.cases]
MOST_TOOLS = 200


def looked(asked: Asked, *calls: Any) -> Any:
    """Return the entries for a list of calls."""
    return asked("pdp/decision/visible", {"calls": list(calls)})["tools"]


def test_a_tool_that_may_be_called_is_seen(asked: Asked) -> None:
    for row, document in CASES:
        if row.expect != "deny":
            assert looked(asked, document)[0]["visible"] is True, row.case


def test_a_tool_is_hidden_by_a_broken_guard_about_the_caller_or_for_want_of_a_right(asked: Asked, pack: Pack) -> None:
    for row, document in CASES:
        early = [
            c for c in row.because if c in pack.rules and c.startswith("guards.") and pack.rules[c].stage == "caller"
        ]
        (entry,) = looked(asked, document)
        assert entry["broken_guards"] == early, row.case
        if early:
            assert entry["visible"] is False, row.case
    expired = next(document for row, document in CASES if row.case == "a right that has run out is none")
    assert looked(asked, expired)[0] == {
        "server": "payments",
        "name": "get_order",
        "visible": False,
        "permits": [],
        "broken_guards": [],
    }


def test_the_arguments_change_nothing(asked: Asked) -> None:
    for _, document in CASES:
        other = deepcopy(document) | {"arguments": {"amount": None}, "context": {"a": 1}}
        assert looked(asked, other) == looked(asked, document)


def test_entries_come_in_the_order_asked_and_speak_for_themselves(asked: Asked) -> None:
    documents = [document for _, document in CASES]
    entries = looked(asked, *documents)
    assert [(e["server"], e["name"]) for e in entries] == [(d["tool"]["server"], d["tool"]["name"]) for d in documents]
    assert entries == [looked(asked, document)[0] for document in documents]


def test_what_is_no_call_has_no_entry(asked: Asked, call: dict[str, Any]) -> None:
    odds: list[Any] = [None, True, [], {}, "x", {"tool": {"server": "payments"}}]
    for odd in odds:
        assert looked(asked, odd, call) == looked(asked, call)
    assert asked("pdp/decision/visible", {})["tools"] == []


def test_a_list_of_two_hundred_is_answered_at_once(asked: Asked, call: dict[str, Any]) -> None:
    started = time.perf_counter()
    assert len(looked(asked, *[call] * MOST_TOOLS)) == MOST_TOOLS
    assert time.perf_counter() - started < 5, "0.04 s are usual"
