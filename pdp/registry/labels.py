"""Labels: the words a reviewer may attach to a tool and its arguments. A misspelt one would protect nothing."""

import re
from typing import Any

from msgspec import Struct, field

from ..audit.mask import SENSITIVE
from ..enrich import Impact
from ..errors import Fault
from .arguments import input_schema

ARGUMENT_LABELS = SENSITIVE | {"money", "path", "url", "text", "beneficiary"}
OWN_LABEL = re.compile(r"x-[a-z0-9][a-z0-9_-]{0,62}\Z")
TOOL_LABEL = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,63}\Z")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}\Z")  # RFC 6749, section 3.3: scope-token


class Review(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person decides about a definition. `argument_labels`: JSON pointer (RFC 6901) -> labels."""

    risk_class: Impact = field(name="class")
    owner: str
    labels: list[str] = field(default_factory=list)
    required_scopes: list[str] = field(default_factory=list)
    argument_labels: dict[str, list[str]] = field(default_factory=dict)


def check_review(review: Review, definition: dict[str, Any]) -> None:
    """Return when the review fits the definition. Raises `Fault` naming the word that does not."""
    if not review.owner.strip():
        raise Fault("A definition is approved with an owner: say whom to ask with --owner.")
    for label in review.labels:
        if not TOOL_LABEL.match(label):
            raise Fault(f"{label!r} is not a label: use lower-case letters, digits and . _ : -")
    for scope in review.required_scopes:
        if not SCOPE.match(scope):
            raise Fault(f"{scope!r} is not a scope (RFC 6749, section 3.3).")
    for pointer, labels in review.argument_labels.items():
        _check_argument(pointer, labels, definition)


def _check_argument(pointer: str, labels: list[str], definition: dict[str, Any]) -> None:
    for label in labels:
        if label not in ARGUMENT_LABELS and not OWN_LABEL.match(label):
            known = ", ".join(sorted(ARGUMENT_LABELS))
            raise Fault(f"{label!r} is not an argument label: use one of {known}, or your own beginning with x-.")
    if not pointer.startswith("/"):
        raise Fault(f"{pointer!r} is not a pointer to an argument: write /amount for the argument amount.")
    schema = input_schema(definition)
    argument = pointer.split("/")[1].replace("~1", "/").replace("~0", "~")
    if argument not in schema.get("properties", {}) and "additionalProperties" not in schema:
        raise Fault(f"{definition.get('name')} has no argument {argument!r}: correct the pointer {pointer}.")
