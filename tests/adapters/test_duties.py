"""Duties as the adapter reads them: known exactly, or the call is denied; several of a type add up."""

from typing import Any

import pytest

from pdp.adapters.duties import Owed, read_duties
from pdp.adapters.limit import Limit
from pdp.errors import Refused

pytestmark = pytest.mark.promise("adapter.duties")


@pytest.mark.parametrize(
    "duty",
    [
        {},
        {"type": "watermark"},
        {"type": "redact"},
        {"type": "redact", "pointers": "/ssn"},
        {"type": "redact", "pointers": [""]},
        {"type": "redact", "pointers": ["ssn"]},
        {"type": "redact", "pointers": [7]},
        {"type": "redact", "pointers": ["/ssn"], "unless": "asked"},
        {"type": "none", "unless": "asked"},
        {"type": "limit"},
        {"type": "limit", "max_items": 0},
        {"type": "limit", "max_items": -1},
        {"type": "limit", "max_items": True},
        {"type": "limit", "max_items": "9"},
        {"type": "limit", "max_items": 9.5},
        {"type": "limit", "max_items": None, "max_bytes": 9},
        {"type": "limit", "max_rows": 9},
        {"type": "limit", "max_items": 9, "unless": "asked"},
        {"type": "notify"},
        {"type": "notify", "to": []},
        {"type": "notify", "to": "security"},
        {"type": "notify", "to": [""]},
        {"type": "notify", "to": [7]},
        {"type": "notify", "to": ["security"], "unless": "asked"},
    ],
)
@pytest.mark.fault("adapter.duty")
def test_a_duty_that_is_not_known_exactly_is_refused_before_the_call(duty: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"duties\.unknown"):
        read_duties([{"type": "none"}, duty])


def test_nothing_is_owed_for_no_duties() -> None:
    assert read_duties([]) == read_duties([{"type": "none"}]) == Owed([], None, [])
    assert not read_duties([]).changes_results


def test_pointers_are_read_with_their_escapes_and_add_up() -> None:
    owed = read_duties([{"type": "redact", "pointers": ["/ssn", "/a~1b/m~0n"]}, {"type": "redact", "pointers": ["/x"]}])
    assert owed.redact == [("ssn",), ("a/b", "m~n"), ("x",)]
    assert owed.changes_results


def test_the_smaller_of_several_limits_counts() -> None:
    limits = [{"max_items": 100, "max_bytes": 9}, {"max_items": 10}, {"max_bytes": 99}]
    owed = read_duties([{"type": "limit", **limit} for limit in limits])
    assert owed.limit == Limit(max_items=10, max_bytes=9)
    assert owed.changes_results
    assert read_duties([{"type": "limit", "max_items": 1}]).limit == Limit(max_items=1)


def test_everybody_is_told_once() -> None:
    owed = read_duties([{"type": "notify", "to": ["b", "a"]}, {"type": "notify", "to": ["a", "c"]}])
    assert owed.to == ["b", "a", "c"]
    assert not owed.changes_results


def test_a_result_is_redacted_first_and_limited_then() -> None:
    duties: list[dict[str, Any]] = [
        {"type": "limit", "max_items": 1},
        {"type": "redact", "pointers": ["/ssn"]},
    ]
    people = [{"ssn": "078-05-1120", "name": "Carla"}, {"ssn": "078-05-1121", "name": "Dan"}]
    result = read_duties(duties).performed({"content": [], "structuredContent": {"result": people}})
    assert result["structuredContent"] == {"result": [{"ssn": "[redacted]", "name": "Carla"}]}
    assert "078" not in str(result)
    assert "Dan" not in str(result)
