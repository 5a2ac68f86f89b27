"""Limit: what is cut from a result, and when the whole of it is kept back instead."""

import json
from typing import Any

import pytest

from pdp.adapters.limit import Limit, limited
from pdp.errors import Refused

pytestmark = pytest.mark.promise("adapter.limit")

NOTE = "Cut by policy: of every list only the first 2 items are here."
TWO = Limit(max_items=2)


def text(value: str) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "text", "text": value}


def structured(document: Any) -> dict[str, Any]:
    """Return a result as the SDK makes it."""
    return {"content": [text(json.dumps(document))], "structuredContent": document, "isError": False}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"result": [1, 2, 3]}, {"result": [1, 2]}),
        (
            {"people": [{"id": 1, "tags": [1, 2, 3]}], "more": [[1], [2], [3]]},
            {"people": [{"id": 1, "tags": [1, 2]}], "more": [[1], [2]]},
        ),
        ([1, 2, 3], [1, 2]),
        ({"result": "a\nb\nc\n"}, {"result": "a\nb\n"}),
        ({"result": "[1, 2, 3]"}, {"result": "[\n  1,\n  2\n]"}),
    ],
)
def test_every_list_is_cut_in_structure_and_text_and_it_says_so(document: Any, expected: Any) -> None:
    result = limited(structured(document), TWO)
    assert result["structuredContent"] == expected
    assert json.loads(result["content"][0]["text"]) == expected
    assert result["content"][1:] == [text(NOTE)]
    assert result["isError"] is False


@pytest.mark.parametrize("document", [{"result": [1, 2]}, {"name": "Carla", "note": "a\nb\nc"}, {"result": "a\nb"}, {}])
def test_a_short_result_stays_as_it_is(document: Any) -> None:
    result = limited(structured(document), TWO)
    assert result["structuredContent"] == document
    assert [json.loads(block["text"]) for block in result["content"]] == [document]


def test_the_text_beside_a_structure_is_written_anew_and_meta_is_dropped() -> None:
    told = [text("1 2 3 4 5"), {"type": "image", "data": "x", "mimeType": "x"}]
    result = limited({"content": told, "structuredContent": {"result": [1]}, "_meta": {"all": [1, 2, 3]}}, TWO)
    assert result == {"content": [text('{\n  "result": [\n    1\n  ]\n}')], "structuredContent": {"result": [1]}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (["a\nb\nc"], ["a\nb\n", NOTE]),
        (["a\nb"], ["a\nb"]),
        (["[1, 2, 3]"], ["[\n  1,\n  2\n]", NOTE]),
        (['{"a":[1,2]}'], ['{"a":[1,2]}']),
        (["a", "b", "c"], ["a", "b", NOTE]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_without_a_structure_lines_blocks_and_lists_in_json_are_cut(told: list[str], expected: list[str]) -> None:
    result = limited({"content": [text(said) for said in told]}, TWO)
    assert [block["text"] for block in result["content"]] == expected


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "image", "data": "x", "mimeType": "image/png"}]},
        {"content": [{"type": "resource", "resource": {"uri": "x:", "text": "a\nb\nc"}}]},
        {"resultType": "task", "task": {"note": "x"}},
        structured({"result": [1]}) | {"resultType": "input_required"},
        {"task": {}},
    ],
)
@pytest.mark.parametrize("limit", [TWO, Limit(max_items=2, max_bytes=100_000)])
def test_what_cannot_be_looked_into_is_withheld(result: dict[str, Any], limit: Limit) -> None:
    with pytest.raises(Refused, match=r"duties\.withheld"):
        limited(result, limit)


def test_a_result_of_too_many_bytes_is_withheld_and_one_of_just_as_many_is_not() -> None:
    result = {"content": [text("äöü")]}
    size = len('{"content":[{"type":"text","text":"äöü"}]}'.encode())
    assert limited(result, Limit(max_bytes=size)) == result
    with pytest.raises(Refused, match=r"duties\.withheld"):
        limited(result, Limit(max_bytes=size - 1))


def test_bytes_are_counted_after_the_cut() -> None:
    long = structured({"result": ["x" * 1000, "y", "z" * 100_000]})
    assert limited(long, Limit(max_items=2, max_bytes=5000))["structuredContent"]["result"][1:] == ["y"]
    with pytest.raises(Refused, match=r"duties\.withheld"):
        limited(long, Limit(max_items=3, max_bytes=5000))


def test_a_list_in_a_member_that_nobody_knows_does_not_pass_whole() -> None:
    result = limited({"content": [], "structuredContent": {"a": 1}, "toolResult": [1, 2, 3]}, Limit(max_items=2))
    assert "toolResult" not in result
