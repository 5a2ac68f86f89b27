"""Redaction: what is taken out of a result, and when the whole result is kept back instead."""

import json
from typing import Any

import pytest

from pdp.adapters.redact import REDACTED, redacted
from pdp.errors import Refused

pytestmark = pytest.mark.promise("adapter.redact")

SECRET = "078-05-1120"
SSN = [("ssn",)]


def text(value: Any) -> dict[str, Any]:
    """Return a text block with a value as JSON."""
    return {"type": "text", "text": json.dumps(value)}


def structured(document: Any, *content: dict[str, Any]) -> dict[str, Any]:
    """Return a result as the SDK makes it."""
    return {"content": list(content) or [text(document)], "structuredContent": document, "isError": False}


def test_text_is_replaced_and_anything_else_goes() -> None:
    document = {"name": "Carla", "ssn": SECRET, "pin": 1234, "keys": [SECRET]}
    result = redacted(structured(document), [("ssn",), ("pin",), ("keys",)])
    assert result["structuredContent"] == {"name": "Carla", "ssn": REDACTED}
    assert json.loads(result["content"][0]["text"]) == {"name": "Carla", "ssn": REDACTED}


def test_the_text_beside_a_structure_is_written_anew() -> None:
    told = [
        {"type": "text", "text": f"Carla's number is {SECRET}."},
        {"type": "image", "data": SECRET, "mimeType": "x"},
    ]
    result = redacted(structured({"ssn": SECRET}, *told), SSN)
    assert SECRET not in json.dumps(result)
    assert [block["type"] for block in result["content"]] == ["text"]


def test_meta_is_dropped_with_the_rest_that_nobody_pointed_into() -> None:
    result = redacted({**structured({"ssn": SECRET}), "_meta": {"raw": SECRET}}, SSN)
    assert SECRET not in json.dumps(result)


@pytest.mark.parametrize(
    ("document", "pointers", "expected"),
    [
        ({"a": {"b": "s"}}, [("a", "b")], {"a": {"b": REDACTED}}),
        ({"a": ["s", "t"]}, [("a", "1")], {"a": ["s", None]}),
        ({"a": [{"b": "s"}]}, [("a", "0", "b")], {"a": [{"b": REDACTED}]}),
        ({"a/b": "s", "m~n": "t"}, [("a/b",), ("m~n",)], {"a/b": REDACTED, "m~n": REDACTED}),
        ({"result": [{"ssn": SECRET}, {"ssn": SECRET}]}, SSN, {"result": [{"ssn": REDACTED}, {"ssn": REDACTED}]}),
        ({"result": "s"}, [("result",)], {"result": REDACTED}),
        ({"name": "Carla"}, SSN, {"name": "Carla"}),
        ([{"ssn": SECRET}], SSN, [{"ssn": REDACTED}]),
        ({"result": None}, SSN, {"result": None}),
        ({"ssn": SECRET}, [("ssn",), ("ssn",)], {"ssn": REDACTED}),
    ],
)
def test_pointers_reach_members_items_and_lists(document: Any, pointers: Any, expected: Any) -> None:
    assert redacted(structured(document), pointers)["structuredContent"] == expected


def test_text_that_is_json_is_redacted_where_there_is_no_structure() -> None:
    result = redacted({"content": [text({"ssn": SECRET}), text([{"ssn": SECRET}])]}, SSN)
    assert [json.loads(block["text"]) for block in result["content"]] == [{"ssn": REDACTED}, [{"ssn": REDACTED}]]


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "text", "text": f"Carla's number is {SECRET}."}]},
        {"content": [text(SECRET)]},
        {"content": [text({"ssn": SECRET}), {"type": "text", "text": SECRET}]},
        {"content": [{"type": "image", "data": SECRET, "mimeType": "image/png"}]},
        {"content": [{"type": "resource", "resource": {"uri": "x:", "text": json.dumps({"ssn": SECRET})}}]},
        {"content": [text({"customer": {"ssn": SECRET}})]},
        structured({"customers": [{"ssn": SECRET}]}),
        structured({"ssn": SECRET, "spouse": {"ssn": SECRET}}),
        structured({"result": SECRET}),
        structured({"result": [SECRET]}),
        structured({"ssn": SECRET, "spouse": {"name": "Carl"}}) | {"resultType": "input_required"},
        {"resultType": "task", "task": {"note": SECRET}},
        {"task": {"note": SECRET}},
    ],
)
@pytest.mark.fault("adapter.duty")
def test_what_cannot_be_redacted_is_withheld(result: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"duties\.withheld"):
        redacted(result, SSN)


@pytest.mark.parametrize("document", [{"ssn": SECRET}, None])
def test_a_member_of_a_result_that_nobody_knows_goes_with_all_that_is_in_it(document: Any) -> None:
    told = {**structured(document, text({"ssn": SECRET})), "toolResult": {"ssn": SECRET}, "_meta": {"ssn": SECRET}}
    result = redacted(told, SSN)
    assert SECRET not in json.dumps(result)
    assert result["isError"] is False
