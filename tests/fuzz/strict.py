"""A second reader of JSON, written from the grammar (RFC 8259, RFC 7493) and from nothing else: slow, plain, strict.

It shares no code with the product, so that what the product reads can be held against it.
"""

import re
from typing import Any

SPACE = re.compile(rb"[ \t\n\r]*")
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
ESCAPES = {b'"': '"', b"\\": "\\", b"/": "/", b"b": "\b", b"f": "\f", b"n": "\n", b"r": "\r", b"t": "\t"}
WORDS: dict[bytes, Any] = {b"true": True, b"false": False, b"null": None}


class NotJson(Exception):
    """The text is not I-JSON."""


def read(text: bytes) -> Any:
    """Return the value. Raises `NotJson` for anything but one I-JSON text."""
    value, end = _value(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise NotJson("more than one value")
    return value


def _skip(text: bytes, at: int) -> int:
    match = SPACE.match(text, at)
    assert match is not None
    return match.end()


def _value(text: bytes, at: int) -> tuple[Any, int]:
    begin = text[at : at + 1]
    if begin == b"{":
        return _object(text, at)
    if begin == b"[":
        return _array(text, at)
    if begin == b'"':
        return _text(text, at)
    for word, value in WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
    return _number(text, at)


def _number(text: bytes, at: int) -> tuple[Any, int]:
    match = NUMBER.match(text, at)
    if match is None:
        raise NotJson("no value")
    if match[1] is None and match[2] is None:
        if match.end() - at > 4300:  # what CPython takes; more is no number for a tool
            raise NotJson("a number of too many digits")
        return int(match[0]), match.end()
    number = float(match[0])
    if number in (float("inf"), float("-inf")):
        raise NotJson("a number out of range")
    return number, match.end()


def _text(text: bytes, at: int) -> tuple[str, int]:
    pieces: list[str] = []
    at += 1
    while True:
        plain = PLAIN.match(text, at)
        assert plain is not None
        try:
            pieces.append(plain[0].decode("utf-8"))
        except UnicodeDecodeError:
            raise NotJson("not UTF-8") from None
        at = plain.end()
        if text[at : at + 1] == b'"':
            return _whole("".join(pieces)), at + 1
        if text[at : at + 1] != b"\\":
            raise NotJson("a text that does not end, or holds a control character")
        piece, at = _escape(text, at + 1)
        pieces.append(piece)


def _escape(text: bytes, at: int) -> tuple[str, int]:
    if text[at : at + 1] in ESCAPES:
        return ESCAPES[text[at : at + 1]], at + 1
    digits = re.compile(rb"u([0-9a-fA-F]{4})").match(text, at)
    if digits is None:
        raise NotJson("an escape nobody knows")
    return chr(int(digits[1], 16)), digits.end()


def _whole(text: str) -> str:
    """Join surrogate pairs; half of one is no text."""
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise NotJson("half of a surrogate pair") from None


def _array(text: bytes, at: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == b"]":
        return items, at + 1
    while True:
        value, at = _value(text, at)
        items.append(value)
        at = _skip(text, at)
        if text[at : at + 1] == b"]":
            return items, at + 1
        if text[at : at + 1] != b",":
            raise NotJson("no comma")
        at = _skip(text, at + 1)


def _object(text: bytes, at: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] == b"}":
        return members, at + 1
    while True:
        if text[at : at + 1] != b'"':
            raise NotJson("no name")
        name, at = _text(text, at)
        at = _skip(text, at)
        if name in members or text[at : at + 1] != b":":
            raise NotJson("a name that stands twice, or without a value")
        members[name], at = _value(text, _skip(text, at + 1))
        at = _skip(text, at)
        if text[at : at + 1] == b"}":
            return members, at + 1
        if text[at : at + 1] != b",":
            raise NotJson("no comma")
        at = _skip(text, at + 1)
