"""The schema of the policy input, generated from the Structs that `decide` sends, in the subset that OPA checks by.

OPA treats `anyOf` with null, and an `enum` without a type, as "anything goes", which lets a misspelt field pass: an
optional part is therefore the part itself (we leave it out, we never send null), and every enum says it is text.
"""

import json
from functools import cache
from typing import Any

import msgspec

from ..decide import PolicyInput

NULL = {"type": "null"}
UNUSED = {"default", "title"}  # say nothing to a checker


@cache
def input_schema() -> dict[str, Any]:
    """Return the JSON schema of `input` in a policy (contracts, section 3): one object, for all to read."""
    schema: dict[str, Any] = _plain(msgspec.json.schema(PolicyInput))
    return schema


def input_schema_text() -> str:
    """Return the text of `rego/schemas/input.json`."""
    return json.dumps(input_schema(), indent=2) + "\n"


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "anyOf" in node:
        (only,) = [choice for choice in node["anyOf"] if choice != NULL]
        return _plain(only)
    plain = {key: _plain(value) for key, value in node.items() if key not in UNUSED}
    return plain | {"type": "string"} if "enum" in plain else plain
