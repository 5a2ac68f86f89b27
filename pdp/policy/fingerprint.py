"""The digest of a file of a bundle as OPA takes it: documents by what they say, everything else byte for byte.

A document is written as compact JSON with sorted keys, as Go's encoder writes it, numbers as they stand in the file
(OPA, "Bundles", section "Signature Verification"); so white space does not count, and `1.0` is not `1`.
"""

import hashlib
import json
from typing import Any

DOCUMENTS = {".manifest", "data.json"}  # of the files we have; OPA also knows data.yaml
LINE_ENDS = {0x2028: "\\u2028", 0x2029: "\\u2029"}  # Go escapes these two, which JavaScript once did not allow in text


class _Number(str):
    """A number as it stands in a document."""

    __slots__ = ()


def fingerprint(name: str, body: bytes) -> str:
    """Return the SHA-256, in hex, of the file `name` with the content `body`. Raises `ValueError` for bad JSON."""
    return hashlib.sha256(_plain(body) if name in DOCUMENTS else body).hexdigest()


def _plain(body: bytes) -> bytes:
    return _written(json.loads(body, parse_int=_Number, parse_float=_Number)).encode()


def _written(value: Any) -> str:
    match value:
        case dict():
            members = (f"{_text(key)}:{_written(value[key])}" for key in sorted(value))
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
        case _Number():
            return str(value)
        case str():
            return _text(value)
        case _:
            return json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).translate(LINE_ENDS)
