"""Canonical arguments: the value decided on is the value the tool gets (contracts, section 6).

MCP frameworks coerce arguments after the place where a guard can stand: `"5000"` becomes 5000, `'["a"]'` a list,
`true` 1; unknown keys vanish and defaults appear. A decision on raw arguments is a decision about another call. So the
declared coercions of the tool's own `inputSchema` are applied first, as the official SDK does and never wider:

* text becomes an integer, a number or a boolean only when it is its JSON form; text becomes an array or object when it
  is strict JSON of one; a boolean is never a number, a number never text;
* defaults are filled in, except one that its own schema does not admit: there, absent means what the tool makes of it;
* keys that are not in `properties` are refused unless `additionalProperties` or `patternProperties` admit them.

Ranges, patterns and the rest of the schema are the PDP's to check. A tool that transforms what its schema admits
(trims, lower-cases, rounds) does so inside the tool, where no adapter sees it.
"""

import json
import math
import re
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

from ..errors import Refused, Rejected
from ..query import MAX_BODY_BYTES, MAX_DEPTH, MAX_SAFE_INTEGER, canonical, strict_json

MAX_BITS = 256  # the largest integer type met in real interfaces (amounts on a blockchain)
MAX_NUMBER = 64  # characters of a number in text: a double has at most 17 digits that matter
MAX_WHERE = 200  # characters of a pointer that are shown: keys are the caller's, and may be long
MAX_STEPS = 20_000  # schema nodes looked at: far above real tools, far below what would delay others
MAX_REFERENCES = 32  # `$ref` to `$ref`: a longer chain is a loop
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,77})")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
BOOLEANS = {"true": True, "false": False}
OBJECT_WORDS = {"properties", "additionalProperties", "patternProperties", "required"}
ARRAY_WORDS = {"items", "prefixItems"}

Schema = dict[str, Any]


class Misfit(Refused):
    """The arguments do not fit the schema. `hint` says where (a JSON pointer) and what is wrong, never a value.

    Arguments that are not `sayable` cannot be put into a question either: JSON cannot carry them, or too much.
    """

    def __init__(self, where: str, problem: str, *, sayable: bool = True) -> None:
        self.sayable = sayable
        self.hint = f"{where[:MAX_WHERE] or 'the arguments'} {problem}"
        super().__init__("tool.arguments", self.hint)


def canonical_arguments(arguments: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the arguments as the tool will get them. Raises `Misfit`; `arguments` is left as it is."""
    _check_json(arguments)
    form = _Form(schema)
    top = {"type": "object", "properties": {}, **form.resolved(schema, "")}  # what declares nothing admits nothing
    declared = top["properties"]
    as_read = {
        key: form.as_the_sdk_reads(value, declared[key], _below("", key)) if key in declared else value
        for key, value in arguments.items()
    }
    fitted: dict[str, Any] = form.fit(as_read, top, "", lenient=True)
    return fitted


def _check_json(arguments: Any) -> None:
    """Refuse what JSON cannot say (NaN, halves of surrogate pairs) and what would be too large to decide on."""
    try:
        size = len(json.dumps(arguments, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, TypeError, RecursionError):
        raise Misfit("", "must be plain JSON", sayable=False) from None
    if size > MAX_BODY_BYTES:
        raise Misfit("", f"must have at most {MAX_BODY_BYTES} bytes", sayable=False)


class _Form:
    """One schema, and how much work may still be spent on it."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MAX_STEPS

    def fit(self, value: Any, schema: Any, where: str, *, lenient: bool) -> Any:
        """Return `value` in the form `schema` declares; only `lenient` coerces. Raises `Misfit`."""
        self._left -= 1
        if self._left < 0 or where.count("/") > MAX_DEPTH:
            raise Misfit(where, "must be smaller or flatter")
        plain = self.resolved(schema, where)
        branches = _branches(plain)
        if branches:
            fitted = self._choose(value, branches, where, lenient=lenient)
        else:
            fitted = self._typed(value, plain, where, lenient=lenient)
        _check_listed(fitted, plain, where)
        return fitted

    def as_the_sdk_reads(self, value: Any, schema: Any, where: str) -> Any:
        """Return a top-level argument as `MCPServer` reads it before it validates.

        It parses text that is a JSON container or `null` for every parameter that is not plainly text. We keep the
        text where what it parses to is not admitted, because then the call fails there with either.
        """
        if not isinstance(value, str) or self.resolved(schema, where).get("type") == "string":
            return value
        try:
            loose = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if isinstance(loose, str | int | float):
            return value
        parsed = _strict(value, where)
        try:
            self.fit(parsed, schema, where, lenient=True)
        except Misfit:
            return value
        return parsed

    def resolved(self, schema: Any, where: str, hops: int = MAX_REFERENCES) -> Schema:
        """Return a schema with `$ref` followed and `allOf` joined. Raises `Misfit` where nothing is admitted."""
        if hops == 0:
            raise Misfit(where, "has a schema that loops")
        if not isinstance(schema, dict):
            if schema is True:
                return {}
            raise Misfit(where, "is not admitted")
        if "$ref" in schema:
            beside = {key: item for key, item in schema.items() if key != "$ref"}
            return _join(self.resolved(self._referred(schema["$ref"], where), where, hops - 1), beside)
        if "allOf" in schema:
            joined = {key: item for key, item in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                joined = _join(self.resolved(part, where, hops - 1), joined)
            return joined
        return schema

    def _referred(self, reference: Any, where: str) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Misfit(where, "has a schema that refers to another document")
        node: Any = self._root
        for part in unquote(reference[1:]).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or name not in node:
                raise Misfit(where, "has a schema with a part missing")
            node = node[name]
        return node

    def _choose(self, value: Any, branches: list[Any], where: str, *, lenient: bool) -> Any:
        """Take the first branch that admits the value as it is, else the first that admits it coerced."""
        for coerced in [False, True] if lenient else [False]:
            for branch in branches:
                try:
                    return self.fit(value, branch, where, lenient=coerced)
                except Misfit:
                    continue
        raise Misfit(where, "must have one of the declared types")

    def _typed(self, value: Any, schema: Schema, where: str, *, lenient: bool) -> Any:
        kind = schema.get("type") or _implied(value, schema)
        if kind == "object":
            return self._object(value, schema, where, lenient=lenient)
        if kind == "array":
            return self._array(value, schema, where, lenient=lenient)
        if kind is None:
            return value
        if kind not in SCALARS:
            raise Misfit(where, "has a schema with an unknown type")
        return SCALARS[kind](value, where, lenient)

    def _object(self, value: Any, schema: Schema, where: str, *, lenient: bool) -> dict[str, Any]:
        fitted = {}
        for key, item in _container(value, dict, where, lenient).items():
            below = _below(where, key)
            fitted[key] = self.fit(item, _member(schema, key, below), below, lenient=lenient)
        for key, declared in schema.get("properties", {}).items():
            if key not in fitted:
                self._fill(fitted, key, declared, where)
        for key in schema.get("required", []):
            if key not in fitted:
                raise Misfit(_below(where, key), "is missing")
        return fitted

    def _array(self, value: Any, schema: Schema, where: str, *, lenient: bool) -> list[Any]:
        items = _container(value, list, where, lenient)
        rest = schema.get("items", True)
        first = schema.get("prefixItems", rest if isinstance(rest, list) else [])  # a list: before 2020-12
        rest = True if isinstance(rest, list) else rest
        return [
            self.fit(item, first[at] if at < len(first) else rest, f"{where}/{at}", lenient=lenient)
            for at, item in enumerate(items)
        ]

    def _fill(self, fitted: dict[str, Any], key: str, declared: Any, where: str) -> None:
        below = _below(where, key)
        try:
            plain = self.resolved(declared, below)
            if "default" in plain:
                fitted[key] = self.fit(deepcopy(plain["default"]), plain, below, lenient=False)
        except Misfit:
            return


def _below(where: str, key: str) -> str:
    """Return the JSON pointer of a member (RFC 6901)."""
    return f"{where}/{key.replace('~', '~0').replace('/', '~1')}"


def _member(schema: Schema, key: str, where: str) -> Any:
    """Return the schema of one member of an object. Raises `Misfit` for a member that nothing declares."""
    declared = schema.get("properties", {})
    if key in declared:
        return declared[key]
    for pattern, below in schema.get("patternProperties", {}).items():
        if _matches(pattern, key, where):
            return below
    further = schema.get("additionalProperties", "properties" not in schema)
    if further is False:
        raise Misfit(where, "is not declared")
    return further


def _matches(pattern: str, key: str, where: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except re.error:
        raise Misfit(where, "has a schema with an unreadable pattern") from None


def _branches(schema: Schema) -> list[Any]:
    """Return the alternatives of a union, each joined with what stands beside it; none when it is not a union."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            beside = {key: item for key, item in schema.items() if key not in {word, "default"}}
            return [_join(beside, branch) if isinstance(branch, dict) else branch for branch in schema[word]]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return []


def _join(schema: Schema, other: Schema) -> Schema:
    both = {**schema, **other}
    if "properties" in schema and "properties" in other:
        both["properties"] = {**schema["properties"], **other["properties"]}
    if "required" in schema and "required" in other:
        both["required"] = [*schema["required"], *other["required"]]
    return both


def _implied(value: Any, schema: Schema) -> str | None:
    if isinstance(value, dict) and schema.keys() & OBJECT_WORDS:
        return "object"
    if isinstance(value, list) and schema.keys() & ARRAY_WORDS:
        return "array"
    return None


def _check_listed(value: Any, schema: Schema, where: str) -> None:
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if listed is not None and canonical(value) not in [canonical(item) for item in listed]:
        raise Misfit(where, "must be one of the listed values")


def _container(value: Any, kind: type, where: str, lenient: bool) -> Any:
    taken = _strict(value, where) if lenient and isinstance(value, str) else value
    if not isinstance(taken, kind):
        raise Misfit(where, "must be an object" if kind is dict else "must be an array")
    return taken


def _strict(text: str, where: str) -> Any:
    """Read JSON inside text; what two readers could take differently (repeated keys, NaN) is refused."""
    try:
        return strict_json(text.encode())
    except Rejected:
        raise Misfit(where, "must be JSON that reads only one way") from None


def _integer(value: Any, where: str, lenient: bool) -> int:
    if lenient and isinstance(value, str) and INTEGER.fullmatch(value):
        value = int(value)
    if lenient and isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > MAX_BITS:
        raise Misfit(where, "must be an integer")
    return value


def _number(value: Any, where: str, lenient: bool) -> float:
    if lenient and isinstance(value, str) and len(value) <= MAX_NUMBER and NUMBER.fullmatch(value):
        value = json.loads(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit(where, "must be a number")
    if abs(value) > MAX_SAFE_INTEGER if isinstance(value, int) else not math.isfinite(value):
        raise Misfit(where, "must be a number that a double holds exactly")  # else the tool acts on another one
    return value


def _boolean(value: Any, where: str, lenient: bool) -> bool:
    if lenient and isinstance(value, str):
        value = BOOLEANS.get(value)
    if not isinstance(value, bool):
        raise Misfit(where, "must be true or false")
    return value


def _string(value: Any, where: str, _lenient: bool) -> str:
    if not isinstance(value, str):
        raise Misfit(where, "must be text")
    return value


def _null(value: Any, where: str, _lenient: bool) -> None:
    if value is not None:
        raise Misfit(where, "must be null")


SCALARS = {"integer": _integer, "number": _number, "boolean": _boolean, "string": _string, "null": _null}
