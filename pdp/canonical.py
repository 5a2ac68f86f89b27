"""Canonical JSON (RFC 8785): by `rfc8785`, or ten times as fast where msgspec provably writes the same bytes.

Provably, for values of plain ASCII keys and no floats: then the order of UTF-16 code units (section 3.2.3) is that of
UTF-8 bytes, integers up to 2^53-1 are written as they are (3.2.2.3), and texts escape the same seven characters alike
and the other control characters as lower-case `\\u00xx` (3.2.2.2). `tests/properties` compares both on all they take.
"""

from typing import Any

import msgspec
import rfc8785

MAX_SAFE_INTEGER = 2**53 - 1  # RFC 8785, section 3.2.2.3: beyond this a JSON number is not exact everywhere

_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical(value: Any) -> bytes:
    """Return canonical JSON (RFC 8785); integers beyond 2^53-1 become `{"$int": "..."}` first (contracts, 6).

    Raises `ValueError` for what canonical JSON cannot say: NaN, infinities, lone surrogates, other types.
    """
    if type(value) is dict and all(type(key) is str and key.isascii() for key in value):
        return _joined(value)
    return _part(value)


def _joined(members: dict[str, Any]) -> bytes:
    """Put an object of plain keys together from its members, so that one odd number makes only one of them slow.

    Not also theirs from theirs: to look through a value once more for every level of it is what an attacker would want.
    """
    if all(map(is_plain, members.values())):
        return _ENCODER.encode(members)  # 2 us for a call's arguments; rfc8785, which is Python, 40
    return b"{" + b",".join(_ENCODER.encode(key) + b":" + _part(members[key]) for key in sorted(members)) + b"}"


def _part(value: Any) -> bytes:
    if is_plain(value):
        return _ENCODER.encode(value)
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return rfc8785.dumps(tag_large_integers(value))
    except rfc8785.CanonicalizationError as error:
        raise ValueError("the value has no canonical JSON form") from error


def is_plain(value: Any) -> bool:
    """Say whether msgspec writes this value as RFC 8785 demands."""
    kind = type(value)  # exact: a subclass may be written in another way
    if kind is str:
        return True
    if kind is int:
        return bool(-MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)
    if kind is dict:
        return all(type(key) is str and key.isascii() for key in value) and all(map(is_plain, value.values()))
    if kind is list:
        return all(map(is_plain, value))
    return value is None or value is True or value is False


def tag_large_integers(value: Any) -> Any:
    """Return a JSON value with each integer that is not exact everywhere as an object around its digits."""
    if isinstance(value, dict):
        return {key: tag_large_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tag_large_integers(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SAFE_INTEGER:
        return {"$int": str(value)}
    return value
