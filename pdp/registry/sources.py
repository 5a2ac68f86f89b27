"""Sources: where definitions come from (a `tools/list` in a file, or a live server), and what is taken in at all."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import Fault, Rejected
from ..query import MAX_NAME, canonical, definition_digest, strict_json

MAX_DEFINITION_BYTES = 64 * 1024  # the largest of 2,025 real ones has 8 KB
MAX_DEFINITION_DEPTH = 32  # the deepest real one has 10
MAX_DEFINITIONS = 2000  # of one server; the largest real one has 302. All are recorded at once: fewer than MAX_WAITING
MAX_FILE_BYTES = 16 * 1024 * 1024  # a list of that many definitions of usual size, many times over
WRAPPING = 4  # levels around a definition in a file: result, tools, the list


def read_list(path: Path) -> list[dict[str, Any]]:
    """Return the definitions in a file: `{"tools": [...]}`, a JSON-RPC answer around it, or a bare list.

    Raises `Fault` when it is none of these, or only the first page of a list.
    """
    try:
        value = strict_json(path.read_bytes(), MAX_FILE_BYTES, MAX_DEFINITION_DEPTH + WRAPPING)
    except OSError as error:
        raise Fault(f"{path} cannot be read: {error.strerror}.") from None
    except Rejected as problem:
        raise Fault(f"{path} is not a tools/list: {problem.title}") from None
    return listed(value, str(path))


def listed(value: Any, where: str) -> list[dict[str, Any]]:
    """Return the definitions of a parsed `tools/list` in any of its wrappings. Raises `Fault`."""
    if isinstance(value, dict) and isinstance(value.get("result"), dict):
        value = value["result"]
    if isinstance(value, dict) and value.get("nextCursor") is not None:
        raise Fault(f"{where} holds only the first page of a tools/list: put all pages into one list.")
    tools = value.get("tools") if isinstance(value, dict) else value
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Fault(f'{where} is not a tools/list: expected {{"tools": [...]}}, a JSON-RPC answer, or a bare list.')
    return tools


def named_definitions(server: str, definitions: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return definitions by name and digest, all within the limits and no tool twice. Raises `Fault`."""
    if not 0 < len(server) <= MAX_NAME or "/" in server or "*" in server:
        raise Fault(f"{server!r} cannot be a server id: use 1 to {MAX_NAME} characters without / and *.")
    if len(definitions) > MAX_DEFINITIONS:
        raise Fault(f"The server lists {len(definitions)} tools; at most {MAX_DEFINITIONS} are taken in at once.")
    named = {(_checked_name(definition), definition_digest(definition)): definition for definition in definitions}
    if len({name for name, _ in named}) < len(definitions):
        raise Fault("The server lists a tool twice: which one a call would reach cannot be told.")
    return named


def _checked_name(definition: dict[str, Any]) -> str:
    name = definition.get("name") if isinstance(definition, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise Fault(f"The list holds something without a name of 1 to {MAX_NAME} characters: it is not a tools/list.")
    if _depth(definition) > MAX_DEFINITION_DEPTH:
        raise Fault(f"The definition of {name} nests deeper than {MAX_DEFINITION_DEPTH} levels.")
    try:
        size = len(canonical(definition))
    except ValueError:
        raise Fault(
            f"The definition of {name} has no canonical JSON form: it holds text that is not Unicode."
        ) from None
    if size > MAX_DEFINITION_BYTES:
        raise Fault(f"The definition of {name} has {size} bytes; at most {MAX_DEFINITION_BYTES} are taken in.")
    return name


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= MAX_DEFINITION_DEPTH:
        depth += 1
        level = [child for item in level for child in _children(item)]
    return depth


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
