"""Arguments in the form the tool will get them: what is coerced, what is filled in, and what is refused."""

import asyncio
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from pdp.adapters.canonical import Misfit, canonical_arguments
from pdp.query import canonical

pytestmark = pytest.mark.promise("adapter.canonical")

STRICT_OBJECT = {"type": "object", "properties": {"a": {"type": "integer", "default": 3}}, "required": []}
OPEN = {"type": "object", "properties": {}, "additionalProperties": True}


def one(schema: Any) -> dict[str, Any]:
    """Return the input schema of a tool with the one argument `x`."""
    return {"type": "object", "properties": {"x": schema}}


def read(value: Any, schema: Any) -> Any:
    """Return the argument `x` as the tool will get it."""
    return canonical_arguments({"x": value}, one(schema))["x"]


FITTED = [
    ("5000", {"type": "integer"}, 5000),
    ("-0", {"type": "integer"}, 0),
    (5.0, {"type": "integer"}, 5),
    ("9007199254740993", {"type": "integer"}, 9007199254740993),
    (2**200, {"type": "integer"}, 2**200),
    ("5000", {"type": "number"}, 5000),
    ("1.5e3", {"type": "number"}, 1500.0),
    ("true", {"type": "boolean"}, True),
    ("false", {"type": "boolean"}, False),
    ('["mallory"]', {"type": "array", "items": {"type": "string"}}, ["mallory"]),
    ('["1"]', {"type": "array", "items": {"type": "integer"}}, [1]),
    ('{"a": "7"}', STRICT_OBJECT, {"a": 7}),
    ({}, STRICT_OBJECT, {"a": 3}),
    ("5000", {"type": "string"}, "5000"),
    ('["a"]', {"type": "string"}, '["a"]'),
    ("null", {"type": "string"}, "null"),
    ("null", {"anyOf": [{"type": "string"}, {"type": "null"}]}, None),  # so reads the SDK
    ('{"k": 1}', {"anyOf": [{"type": "string"}, {"type": "object"}]}, {"k": 1}),  # so reads the SDK
    ('{"k": 1}', {}, {"k": 1}),  # so reads the SDK
    ("[1]", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "[1]"),
    ("5", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5"),
    ("5", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 5),
    (5, {"type": ["string", "integer"]}, 5),
    ("2", {"type": "integer", "enum": [1, 2]}, 2),
    ("\uff21dmin", {"type": "string"}, "\uff21dmin"),  # what looks like an A stays what it is
    ([["1"]], {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, [[1]]),
    (["1", "x"], {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, [1, "x"]),
    ({"z": "1"}, {"type": "object", "additionalProperties": {"type": "integer"}}, {"z": 1}),
    ({"z": "1"}, {"type": "object"}, {"z": "1"}),
    ({"n_1": "1"}, {"type": "object", "properties": {}, "patternProperties": {"^n_": {"type": "integer"}}}, {"n_1": 1}),
    (1, {"allOf": [{"type": "integer"}, {"minimum": 0}]}, 1),
]


@pytest.mark.parametrize(("value", "schema", "expected"), FITTED)
def test_a_value_takes_the_declared_form(value: Any, schema: Any, expected: Any) -> None:
    fitted = read(value, schema)
    assert (fitted, type(fitted)) == (expected, type(expected))


MISFITS = [
    (True, {"type": "integer"}),
    (False, {"type": "number"}),
    (1, {"type": "boolean"}),
    ("yes", {"type": "boolean"}),
    ("True", {"type": "boolean"}),
    (1, {"type": "string"}),
    (5.5, {"type": "integer"}),
    (1e300, {"type": "integer"}),
    (2**300, {"type": "integer"}),
    (2**53 + 1, {"type": "number"}),
    ("9007199254740993", {"type": "number"}),
    ("1e999", {"type": "number"}),
    (" 5", {"type": "integer"}),
    ("+5", {"type": "integer"}),
    ("5_000", {"type": "integer"}),
    ("0x10", {"type": "integer"}),
    ("\u0665", {"type": "integer"}),
    ("5.0", {"type": "integer"}),
    ("9" * 5000, {"type": "integer"}),
    ("NaN", {"type": "number"}),
    (float("nan"), {"type": "number"}),
    (float("inf"), {}),
    ("\ud800", {"type": "string"}),
    ("a,b", {"type": "array"}),
    ('{"a": 1, "a": 2}', {"type": "object"}),
    ('{"a": 1, "a": 2}', {}),
    ("[NaN]", {"type": "array"}),
    ({"a": 1, "b": 2}, STRICT_OBJECT),
    (None, {"type": "integer"}),
    ("x", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (3, {"type": "integer", "enum": [1, 2]}),
    (True, {"enum": [1]}),
    (1, {"const": True}),
    (1, False),
    (1, {"$ref": "https://elsewhere.example/schema"}),
    (1, {"$ref": "#/$defs/absent"}),
    (1, {"$ref": "#/properties/x"}),
    (1, {"allOf": [{"$ref": "#/properties/x"}]}),
    (1, {"type": "quantity"}),
    ({"q": 1}, {"type": "object", "properties": {}, "patternProperties": {"(": {}}}),
    ("[" * 5000 + "]" * 5000, {"type": "array"}),
]


@pytest.mark.parametrize(("value", "schema"), MISFITS)
def test_a_value_that_does_not_fit_is_refused(value: Any, schema: Any) -> None:
    with pytest.raises(Misfit) as refusal:
        read(value, schema)
    assert refusal.value.code == "tool.arguments"


def test_a_key_that_nothing_declares_is_refused() -> None:
    for schema in (one({"type": "string"}), {"type": "object"}, {}, {**one({}), "additionalProperties": False}):
        with pytest.raises(Misfit, match="/z is not declared"):
            canonical_arguments({"z": 1}, schema)
    assert canonical_arguments({"z": 1}, OPEN) == {"z": 1}


def test_defaults_are_filled_in_unless_the_schema_itself_does_not_admit_them() -> None:
    schema = {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "default": 10},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "broken": {"type": "integer", "default": None},
            "loose": {"type": "integer", "default": "5"},
            "bare": {"type": "string"},
        },
    }
    assert canonical_arguments({}, schema) == {"limit": 10, "note": None}
    assert canonical_arguments({"limit": 2, "bare": "b"}, schema) == {"limit": 2, "note": None, "bare": "b"}


def test_a_default_is_a_copy() -> None:
    schema = one({"type": "array", "default": []})
    canonical_arguments({}, schema)["x"].append("mallory")
    assert canonical_arguments({}, schema) == {"x": []}


def test_what_is_required_must_be_there() -> None:
    with pytest.raises(Misfit, match="/x is missing"):
        canonical_arguments({}, {**one({"type": "string"}), "required": ["x"]})


def kind(name: str, **properties: Any) -> dict[str, Any]:
    """Return the schema of an object that says what kind it is."""
    return {"type": "object", "properties": {"kind": {"const": name}, **properties}, "required": ["kind", *properties]}


def test_references_and_unions_of_objects_are_followed() -> None:
    known = {"card": kind("card", no={"type": "integer"}), "cash": kind("cash", at={"type": "string"})}
    schema = {"$defs": known, **one({"oneOf": [{"$ref": "#/$defs/card"}, {"$ref": "#/$defs/cash"}]})}
    assert canonical_arguments({"x": {"kind": "card", "no": "7"}}, schema) == {"x": {"kind": "card", "no": 7}}
    assert canonical_arguments({"x": '{"kind": "cash", "at": "7"}'}, schema) == {"x": {"kind": "cash", "at": "7"}}
    with pytest.raises(Misfit):
        canonical_arguments({"x": {"kind": "cash", "at": "7", "no": 7}}, schema)


def test_a_schema_that_branches_without_end_is_given_up() -> None:
    tree = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/t"}} for _ in range(8)]}
    value: Any = "leaf"
    for _ in range(12):
        value = [value]
    with pytest.raises(Misfit):
        canonical_arguments({"x": value}, {"$defs": {"t": tree}, **one({"$ref": "#/$defs/t"})})


def test_too_much_is_refused_before_anyone_is_asked() -> None:
    for value in ("x" * 300_000, float("nan"), "\udfff"):
        with pytest.raises(Misfit) as refusal:
            read(value, {})
        assert not refusal.value.sayable


def test_the_callers_arguments_are_left_alone() -> None:
    given_arguments = {"x": {"a": "1"}}
    canonical_arguments(given_arguments, one(STRICT_OBJECT))
    assert given_arguments == {"x": {"a": "1"}}


class Line(BaseModel):
    """A part of an order."""

    sku: str
    count: int = 1
    price: float | None = None


def make_server(got: list[dict[str, Any]]) -> MCPServer[Any]:
    """Return a server whose tool keeps what it really got."""
    server: MCPServer[Any] = MCPServer("echo")

    @server.tool()
    async def order(
        *,
        a: int,
        b: float,
        c: bool,
        d: str,
        e: list[int],
        f: dict[str, Any],
        g: Line,
        h: str | None = None,
        i: int | str = 7,
        j: list[Line] | None = None,
        k: Literal["x", "y"] = "x",
        m: Annotated[Any, Field(description="anything")] = None,
    ) -> str:
        whole = {"g": g.model_dump(), "j": None if j is None else [line.model_dump() for line in j]}
        got.append({"a": a, "b": b, "c": c, "d": d, "e": e, "f": f, "h": h, "i": i, "k": k, "m": m, **whole})
        return "ok"

    return server


GOT: list[dict[str, Any]] = []
SERVER = make_server(GOT)
SCHEMA = asyncio.run(SERVER.list_tools())[0].input_schema

NUMBERS = st.integers() | st.floats() | st.integers().map(str) | st.floats(allow_nan=False).map(str) | st.booleans()
SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
INTEGERS = st.integers(-(2**80), 2**80) | SAFE.map(float) | st.integers().map(str)  # nearly all of them fit
DOUBLES = SAFE | st.floats(allow_nan=False, allow_infinity=False) | SAFE.map(str)
TEXTS = st.text(max_size=8) | st.sampled_from(
    ["null", "true", "5", '["a"]', '{"a": 1}', '{"a":1,"a":2}', "[NaN]", "1e3"]
)
WILD = st.recursive(
    st.none() | NUMBERS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
LINES = st.fixed_dictionaries({"sku": TEXTS}, optional={"count": INTEGERS, "price": DOUBLES | st.none()})
ARGUMENTS = st.fixed_dictionaries(
    {
        "a": INTEGERS,
        "b": DOUBLES,
        "c": st.booleans() | st.sampled_from(["true", "false"]),
        "d": TEXTS,
        "e": st.lists(INTEGERS, max_size=3) | st.just("[1, 2]"),
        "f": st.dictionaries(TEXTS, WILD, max_size=3) | st.just('{"k": [1]}'),
        "g": LINES | st.just('{"sku": "s"}'),
    },
    optional={
        "h": TEXTS | st.none(),
        "i": NUMBERS | TEXTS,
        "j": st.lists(LINES, max_size=2) | st.just('[{"sku": "s"}]') | st.none(),
        "k": st.sampled_from(["x", "y"]),
        "m": WILD,
    },
)


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS)
def test_the_value_decided_on_is_the_value_the_tool_receives(arguments: dict[str, Any]) -> None:
    try:
        decided = canonical_arguments(arguments, SCHEMA)
        GOT.clear()
        asyncio.run(SERVER.call_tool("order", decided))
    except (Misfit, ToolError):  # nothing ran
        return
    assert canonical(GOT[0]) == canonical(decided)


@settings(max_examples=150, deadline=None)
@given(ARGUMENTS)
def test_deciding_twice_changes_nothing(arguments: dict[str, Any]) -> None:
    try:
        decided = canonical_arguments(arguments, SCHEMA)
    except Misfit:
        return
    assert canonical(canonical_arguments(decided, SCHEMA)) == canonical(decided)


PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "a": INTEGERS | NUMBERS,
    "b": DOUBLES,
    "c": st.booleans(),
    "d": TEXTS,
    "e": st.just([]),
    "f": st.just({}),
    "g": LINES,
}
RAW = st.fixed_dictionaries(PLAIN, optional={"h": TEXTS, "i": TEXTS, "m": TEXTS})


@settings(max_examples=150, deadline=None)
@given(RAW)
def test_where_both_admit_arguments_we_read_them_as_the_sdk_does(arguments: dict[str, Any]) -> None:
    GOT.clear()
    try:
        decided = canonical_arguments(arguments, SCHEMA)
        asyncio.run(SERVER.call_tool("order", arguments))
    except (Misfit, ToolError):
        return
    assert canonical(GOT[0]) == canonical(decided)
