"""Duties: what an allow obliges the adapter to do. One that it does not know exactly makes the answer a deny.

    {"type": "redact", "pointers": ["/ssn"]}                  taken out of the result                         redact.py
    {"type": "limit", "max_items": 100, "max_bytes": 100000}  lists are cut, what is too large is withheld    limit.py
    {"type": "notify", "to": ["security"]}                    told before the call is made                    notify.py

Several of one type add up: everything that one of them redacts, everybody whom one of them names, the smaller limit.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from ..errors import Refused
from .limit import Limit, limited
from .redact import Pointer, redacted

LIMITS = {"max_items", "max_bytes"}


class Owed(Struct, frozen=True):
    """What the adapter must do: tell `to` before the call; take out `redact` and keep to `limit` after it."""

    redact: Sequence[Pointer] = ()
    limit: Limit | None = None
    to: Sequence[str] = ()

    @property
    def changes_results(self) -> bool:
        """Say whether a result may not go out as it is, nor the text of an error in its place."""
        return bool(self.redact) or self.limit is not None

    def performed(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return what may be handed on of a result. Raises `Refused` `duties.withheld`."""
        kept = redacted(result, self.redact) if self.redact else result
        return kept if self.limit is None else limited(kept, self.limit)


def read_duties(duties: Iterable[dict[str, Any]]) -> Owed:
    """Return what duties oblige us to do. Raises `Refused` `duties.unknown`: to be asked before the call."""
    pointers: list[Pointer] = []
    limits: list[dict[str, int]] = []
    to: dict[str, None] = {}
    for duty in duties:
        match duty:
            case {"type": "none", **rest} if not rest:
                pass
            case {"type": "redact", "pointers": list(texts), **rest} if not rest:
                pointers += [_pointer(text) for text in texts]
            case {"type": "limit", **rest} if _are_limits(rest):
                limits.append(rest)
            case {"type": "notify", "to": list(names), **rest} if not rest and names and _are_names(names):
                to |= dict.fromkeys(names)
            case _:
                raise Refused("duties.unknown", f"duty {duty.get('type')!r}")
    return Owed(redact=pointers, limit=_strictest(limits), to=list(to))


def _pointer(text: Any) -> Pointer:
    if not isinstance(text, str) or not text.startswith("/"):  # the whole document is not redacted, but refused
        raise Refused("duties.unknown", "a pointer that is not one")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def _are_limits(said: dict[str, Any]) -> bool:
    return bool(said) and said.keys() <= LIMITS and all(type(value) is int and value > 0 for value in said.values())


def _are_names(said: list[Any]) -> bool:
    return all(isinstance(name, str) and name for name in said)


def _strictest(limits: list[dict[str, int]]) -> Limit | None:
    if not limits:
        return None
    return Limit(**{name: min(said[name] for said in limits if name in said) for name in set().union(*limits)})
