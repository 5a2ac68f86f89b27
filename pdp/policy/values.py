"""The values of a pack: config.yaml, read strictly, with what the organisation changes, checked against its schema.

A rule reads what stands under its own name: `data.config.guards.risk_ceiling`. The organisation may change the pack's
values, and adds sections for rules of its own; a section nobody reads is a misspelt one, and is refused.
"""

import copy
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import jsonschema_rs
import yaml

from .. import document
from .advice import perhaps
from .problem import PackRefused, Problem
from .sources import Source, Text
from .yaml_lines import line_of

QUOTE = "Look at indents and brackets, and put text with a colon, a # or a * into quotes."
UNREAD = "Additional properties are not allowed"  # how the validator begins about a key that the schema does not know
SCALARS = {bool: "boolean", int: "number", float: "number", str: "string"}


class Values(NamedTuple):
    """What becomes `data.config`, and the schema that `opa check` knows it by."""

    config: dict[str, Any]
    schema: dict[str, Any]


def read_values(configs: list[Text], schema: dict[str, Any], sources: Iterable[Source]) -> Values:
    """Read config.yaml of the pack and of the org folder. Raises `PackRefused` with the file and the key."""
    own = [(source.folder, source.name) for source in sources if source.own]
    schema = copy.deepcopy(schema)
    config: dict[str, Any] = {}
    for config_file in configs:
        config = _merged(config, _written(config_file))
        for folder, name in own:
            if name in config.get(folder, {}):
                section = schema["properties"].setdefault(folder, {"type": "object", "properties": {}})
                section["properties"][name] = described(config[folder][name])
        _must_fit(config, schema, config_file)
    return Values(config, schema)


def values_of(config: dict[str, Any], schema: dict[str, Any], sources: Iterable[Source], file: str) -> Values:
    """Return values that were merged before, in `file`, once more against a schema. Raises `PackRefused`.

    A rule that the schema does not know, the organisation's or another pack's, is checked against what it was given.
    """
    schema = copy.deepcopy(schema)
    for source in sources:
        if source.name in config.get(source.folder, {}):
            section = schema["properties"].setdefault(source.folder, {"type": "object", "properties": {}})
            section["properties"].setdefault(source.name, described(config[source.folder][source.name]))
    _must_fit(config, schema, Text(file, ""))
    return Values(config, schema)


def read_yaml(source: Text) -> Any:
    """Read YAML whose values are JSON's. Raises `PackRefused` for duplicate keys, NaN and other types."""
    try:
        value = document.read_yaml(source.text)
        json.dumps(value, allow_nan=False)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise PackRefused([Problem(source.file, line, f"This is not YAML: {error.problem}.", QUOTE)]) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PackRefused([Problem(source.file, 0, f"This cannot be read: {error}.", "Correct it.")]) from None
    return value


def described(value: Any) -> dict[str, Any]:
    """Return a schema of what `value` is, so that a misspelt key of it is found where a rule reads it."""
    if isinstance(value, dict) and value:
        return {"type": "object", "properties": {key: described(item) for key, item in value.items()}}
    if isinstance(value, dict):
        return {"type": "object", "additionalProperties": {}}
    if isinstance(value, list):
        kinds = [described(item) for item in value]
        alike = bool(kinds) and all(kind == kinds[0] for kind in kinds)
        return {"type": "array", "items": kinds[0] if alike else {}}
    return {"type": SCALARS[type(value)]} if type(value) in SCALARS else {}


@lru_cache(maxsize=4)
def _written(config_file: Text) -> dict[str, dict[str, Any]]:
    """Return what a config.yaml says, to be read only: it is remembered, for a policy whose rules changed alone."""
    return _sections(read_yaml(config_file), config_file.file)


def _sections(value: Any, file: str) -> dict[str, dict[str, Any]]:
    value = {} if value is None else value
    if isinstance(value, dict) and all(isinstance(section, dict) for section in value.values()):
        return value
    what = "A config.yaml holds permits, guards, gates and duties, and in each the names of rules."
    raise PackRefused([Problem(file, 0, what, "Compare it with the pack's own.")])


def _merged(base: Any, change: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return base | {key: _merged(base[key], value) if key in base else value for key, value in change.items()}


def _must_fit(config: dict[str, Any], schema: dict[str, Any], source: Text) -> None:
    errors = jsonschema_rs.validator_for(schema).iter_errors(config)
    problems = [_problem(error.message, [*error.instance_path], config, source) for error in errors]
    if problems:
        raise PackRefused(problems)


def _problem(message: str, path: list[str | int], config: dict[str, Any], source: Text) -> Problem:
    """Say which value is wrong, on which line; of a key that nobody reads, which there are."""
    if message.startswith(UNREAD):
        unread = re.findall(r"'([^']*)'", message)
        known = [key for key in _at(config, path) if key not in unread]
        where = ".".join(map(str, [*path, unread[0]]))
        instead = f"There are: {', '.join(known)}.{perhaps(unread[0], known)}" if known else "Remove it."
        return Problem(source.file, line_of(source.text, [*path, unread[0]]), f"{where}: nobody reads this.", instead)
    where = ".".join(map(str, path)) or "config"
    instead = "Correct the value; the pack's own config.yaml says what it means."
    return Problem(source.file, line_of(source.text, path), f"{where}: {message}.", instead)


def _at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value
