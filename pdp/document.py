"""Document: a file that a person wrote, in YAML or JSON, read strictly: a key that stands twice is an error."""

from typing import Any

import yaml

from .errors import Fault, Rejected
from .query import strict_json


def read_document(body: bytes, limit: int) -> Any:
    """Return the value in `body`. Raises `Fault` saying what is wrong: more than `limit` bytes, or not one value."""
    if len(body) > limit:
        raise Fault(f"The file has more than {limit} bytes: split it.")
    if body.lstrip()[:1] == b"{":
        try:
            return strict_json(body, limit=limit)
        except Rejected as rejected:
            raise Fault(f"The file cannot be read: {rejected.title}") from None
    try:
        return read_yaml(body)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Fault(f"The file is not YAML: {error}") from None


def read_yaml(text: bytes | str) -> Any:
    """Read YAML whose keys are text, each once in its mapping, and whose dates are text. Raises `yaml.YAMLError`."""
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a safe loader, made stricter below


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one is much faster
    """Refuses a key that stands twice (YAML would silently take the last) or is not text; JSON knows no dates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build one mapping."""
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        if not all(isinstance(key, str) for key in mapping):
            raise yaml.constructor.ConstructorError(None, None, "a key is not text", node.start_mark)
        return mapping


_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
