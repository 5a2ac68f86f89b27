"""Reviews in a file beside an import: what a person decided about the tools of one server.

server: payments
tools:
  create_refund: {class: write, owner: payments-team, labels: [money], required_scopes: [refunds],
                  argument_labels: {/amount: [money], /card: [payment]}}
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from ..document import read_document
from ..errors import Fault
from .labels import Review

MAX_REVIEW_BYTES = 4 * 1024 * 1024  # two thousand tools with a page each


class Reviews(Struct, frozen=True, forbid_unknown_fields=True):
    """The reviews of one server's tools, by tool name."""

    server: str
    tools: dict[str, Review]


def read_reviews(path: Path) -> Reviews:
    """Read a file of reviews (YAML or JSON). Raises `Fault` naming the member that is wrong."""
    try:
        return msgspec.convert(read_document(path.read_bytes(), MAX_REVIEW_BYTES), Reviews)
    except OSError as error:
        raise Fault(f"{path} cannot be read: {error.strerror}.") from None
    except msgspec.ValidationError as error:
        raise Fault(f"{path} is not a file of reviews: {error}. See pdp/registry/reviews.py for one.") from None


def beside(file: Path) -> Path:
    """Return where the reviews of an imported file are looked for: `list.json` -> `list.review.yaml`."""
    return file.with_suffix(".review.yaml")
