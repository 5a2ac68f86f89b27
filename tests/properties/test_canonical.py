"""The fast way to write canonical JSON writes what `rfc8785` writes, byte for byte, wherever it is taken."""

import sys
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pdp.canonical import MAX_SAFE_INTEGER, canonical, is_plain, tag_large_integers

SURROGATES = range(0xD800, 0xE000)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=25)


@pytest.mark.promise("query.canonical")
@settings(max_examples=500)
@given(values)
@example({"é": 1, "e": 2})
@example({"\U0001f600": 1, "\ufb33": 2})
@example({"a": -0.0, "b": 1e21, "c": 1.0})
@example([MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER + 1])
def test_every_value_is_written_as_rfc8785_writes_it(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(tag_large_integers(value))


@pytest.mark.promise("query.canonical")
def test_every_character_is_written_as_rfc8785_writes_it() -> None:
    text = "".join(chr(number) for number in range(sys.maxunicode + 1) if number not in SURROGATES)
    assert is_plain(text)
    assert canonical(text) == rfc8785.dumps(text)


@pytest.mark.promise("query.canonical")
@pytest.mark.parametrize(
    "value", [1.0, {"a": [0.5]}, {"é": 1}, MAX_SAFE_INTEGER + 1, [-MAX_SAFE_INTEGER - 1], ("a",), b"a"]
)
def test_what_msgspec_may_write_in_another_way_is_left_to_rfc8785(value: Any) -> None:
    assert not is_plain(value)


@pytest.mark.promise("query.canonical")
@pytest.mark.parametrize("value", ["\ud800", {"a": "\udfff"}, [float("nan")], float("inf"), {"a": {1}}, {1: "a"}])
def test_what_canonical_json_cannot_say_is_refused_either_way(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)
