"""Arguments: do they fit the schema that was approved? What the schema does not mention is refused (contracts, 6).

Schemas are JSON Schema 2020-12 unless they name another draft; nothing is ever fetched. Notes name the place and the
keyword that did not hold, never a value.
"""

from typing import Any

import jsonschema_rs

from ..errors import Fault, Refused

BACKTRACK_LIMIT = 100_000  # steps of one regular expression; a hostile text must not hold up the service
MAX_NOTE = 200  # characters of a place, enough to find it
APPLICATORS = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"})
CLOSERS = frozenset({"additionalProperties", "unevaluatedProperties"})
NEWEST = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


class Checker:
    """The compiled input schema of one definition."""

    def __init__(self, definition: dict[str, Any]) -> None:
        """Compile. Raises `Fault` when the schema cannot be used: such a definition cannot be approved."""
        schema = input_schema(definition)
        self._names = _property_names(schema)
        try:
            self._validator = jsonschema_rs.validator_for(
                closed(schema),
                offline=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = str(error).splitlines()[0][:MAX_NOTE]
            raise Fault(f"The input schema of {definition.get('name')} cannot be used: {reason}.") from None

    def check(self, arguments: dict[str, Any]) -> None:
        """Return when the arguments fit. Raises `Refused` with `tool.arguments`."""
        try:
            self._validator.validate(arguments)
        except jsonschema_rs.ValidationError as error:
            raise Refused("tool.arguments", f"{self._place(error.instance_path)}: {error.kind.name}") from None
        except ValueError:  # a number or text that JSON cannot carry
            raise Refused("tool.arguments", "/: not JSON") from None

    def _place(self, path: list[str | int]) -> str:
        # A key that the schema does not name came from the caller, and may be a value in disguise.
        steps = [str(step) if isinstance(step, int) or step in self._names else "*" for step in path]
        return ("/" + "/".join(steps))[:MAX_NOTE]


def input_schema(definition: dict[str, Any]) -> Schema:
    """Return the input schema of a definition; without one the tool takes no arguments. Raises `Fault`."""
    schema = definition.get("inputSchema", {"type": "object"})
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise Fault(
            f"The input schema of {definition.get('name')} does not describe an object (MCP, Tool.inputSchema)."
        )
    return schema


def closed(schema: Schema) -> Schema:
    """Return the schema with members refused that it does not mention, unless it says what may be there."""
    if not CLOSERS.isdisjoint(schema):
        return schema
    newest = schema.get("$schema", NEWEST) == NEWEST
    # Only `unevaluatedProperties` looks into `allOf` and the like; older drafts lack it and stay closed.
    closer = "unevaluatedProperties" if newest and not APPLICATORS.isdisjoint(schema) else "additionalProperties"
    return schema | {closer: False}


def _property_names(schema: Any) -> frozenset[str]:
    names: set[str] = set()
    stack = [schema]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if isinstance(value.get("properties"), dict):
                names.update(value["properties"])
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return frozenset(names)
