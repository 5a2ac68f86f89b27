"""The body of a decision: bytes become a query that means what they say, or a problem; never anything else."""

import json
from typing import Any

import msgspec

from pdp.errors import Rejected
from pdp.query import MAX_BODY_BYTES, MAX_DEPTH, Query, action_digest, read_query

from . import strict

GOOD: dict[str, Any] = {
    "caller": {"access_token": "eyJ.a.b"},
    "tool": {"server": "payments", "name": "create_refund", "definition_digest": "sha256:" + "0" * 64},
    "arguments": {
        "order": "o-1",
        "amount": 5000,
        "note": "\u00e9\U0001f600\u2028",
        "rate": 0.1,
        "deep": [[{"a": None}]],
    },
    "context": {"mcp_method": "tools/call", "intent": {"prompt": "p"}},
    "approval": "apr_1",
}
ODD = [
    *("1e999999", "1E400", "-1e-999999", "0e99999999", "9007199254740993", "1" * 400, "-0", "-0.0", "1.", ".5", "01"),
    *("NaN", "-Infinity", "true", "null", '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\x"', '{"$int": "1"}'),
    *('{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}', "[" * 40 + "]" * 40, '{"\\u0024int": "1"}', "[1,]", "// x\n1"),
]
WORDS = [json.dumps(name) + ":" for name in ("caller", "access_token", "dpop", "asserted", "person", "tool", "server")]


def seeds() -> list[bytes]:
    """Return bodies to begin with: good ones, and each oddity where an argument stands."""
    asserted = {**GOOD, "caller": {"asserted": {"person": "alice", "agent": None}}}
    bound = {**GOOD, "caller": {**GOOD["caller"], "dpop": {"proof": "p", "method": "POST", "url": "https://x"}}}
    whole = [json.dumps(value).encode() for value in (GOOD, asserted, bound)]
    odd = [
        b'{"caller":{"access_token":"a"},"tool":{"server":"s","name":"n"},"arguments":{"x":%b}}' % o.encode()
        for o in ODD
    ]
    return [*whole, *odd, b"\xef\xbb\xbf{}", json.dumps(GOOD).encode("utf-16"), b"[" * 2000]


def words() -> list[str]:
    """Return what a mutation may put in."""
    return [*ODD[:18], *WORDS, '"$int"', "\\u0024", "\\ud83d", "{}", "[]"]


def check(data: bytes) -> None:
    """Raise `AssertionError`, or whatever the product should not have raised."""
    try:
        query = read_query(data)
    except Rejected as rejected:
        refused = rejected.status, rejected.title
    else:
        _must_mean(query, data)
        return
    assert refused[0] in {400, 413}
    assert len(refused[1]) < 500


def _must_mean(query: Query, data: bytes) -> None:
    try:
        reference = strict.read(data)
    except strict.NotJson as error:
        raise AssertionError(f"taken, but not I-JSON: {error}") from None
    assert len(data) <= MAX_BODY_BYTES
    assert _depth(reference) <= MAX_DEPTH, "taken, but too deep"
    assert not _tagged(reference), "taken, but it speaks our tag"
    _means_the_same(query, reference)
    action_digest(person=None, agent=None, tool=query.tool, arguments=query.arguments)


def _means_the_same(query: Query, reference: Any) -> None:
    again = msgspec.json.encode(query)
    assert read_query(again) == query, "read again, it is another query"
    said = {"arguments": {}, "context": {}, **reference}
    held = {"arguments": {}, "context": {}, **strict.read(again)}
    assert _plain(held) == _plain(said), "the query does not mean what was sent"


def _plain(value: Any) -> str:
    """Return a text that tells 1 from 1.0 and from true; members that are null are as good as absent in a query."""
    parts = {name: _present(part) if name in {"caller", "tool"} else part for name, part in value.items()}
    return json.dumps(_present(parts), sort_keys=True)


def _present(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: _present(part) if name in {"dpop", "asserted"} else part
        for name, part in value.items()
        if part is not None
    }


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, _children(value)), default=0) if isinstance(value, dict | list) else 0


def _tagged(value: Any) -> bool:
    return (isinstance(value, dict) and list(value) == ["$int"]) or any(map(_tagged, _children(value)))
