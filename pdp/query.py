"""Query: who asks, which tool, which arguments; the limits it keeps and the canonical form of its values.

Nothing in a `Query` is verified: it is what an adapter and a caller claim (contracts, section 1).
"""

import hashlib
import json
from typing import Any

import msgspec
from msgspec import Struct, field

from .canonical import MAX_SAFE_INTEGER as MAX_SAFE_INTEGER  # noqa: PLC0414  # for adapters: their law
from .canonical import canonical as canonical  # noqa: PLC0414  # as above
from .errors import Rejected

MAX_BODY_BYTES = 256 * 1024  # an argument of a tool call is text for a model, not a file
MAX_DEPTH = 32  # deeper than any tool schema met in the wild; well under the parsers' recursion limits
MAX_NAME = 256  # servers, tools and ids: long enough for a URL-like server id, short enough for a log line

Name = str


class Dpop(Struct, frozen=True, forbid_unknown_fields=True):
    """A DPoP proof as the adapter received it (RFC 9449), with the request it was made for."""

    proof: str
    method: str
    url: str


class Assertion(Struct, frozen=True, forbid_unknown_fields=True):
    """Identities an adapter vouches for itself; refused unless its key allows `unsafe_assert_identity`."""

    person: str | None = None
    agent: str | None = None


class Credential(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the caller showed the adapter: a token (default), or the adapter's own assertion."""

    access_token: str | None = None
    dpop: Dpop | None = None
    certificate_thumbprint: str | None = None
    asserted: Assertion | None = None


class ToolRef(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The tool as the adapter observed it, with the digests of its definition and of the whole list."""

    server: str
    name: str
    definition_digest: str | None = None
    toolset_digest: str | None = None


class Query(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """May this caller call this tool with these arguments? `context` is untrusted and may only raise friction."""

    caller: Credential
    tool: ToolRef
    arguments: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    approval: str | None = None


def strict_json(body: bytes, limit: int = MAX_BODY_BYTES, depth: int = MAX_DEPTH) -> Any:
    """Read I-JSON (RFC 7493): UTF-8, no duplicate keys, no NaN, no lone surrogates, bounded size and depth.

    Raises `Rejected` 413 over `limit` bytes and 400 for everything else; the text is never echoed.
    """
    if len(body) > limit:
        raise Rejected(413, "query.too_large", f"The body is larger than {limit} bytes.")
    try:
        value = _READER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Rejected(400, "query.malformed", "The body is not UTF-8.") from None
    except RecursionError:
        raise Rejected(400, "query.too_deep", f"The body nests deeper than {depth} levels.") from None
    except ValueError:
        raise Rejected(400, "query.malformed", "The body is not JSON without duplicate keys.") from None
    if body.count(b"{") + body.count(b"[") > depth:  # cannot be too deep with fewer brackets than that
        _check_depth(value, depth)
    if b"\\u" in body:  # only an escape can smuggle a lone surrogate through UTF-8
        _check_text(value)
    return value


def check_size(value: Any, limit: int, depth: int) -> None:
    """Raise `Rejected` 413 or 400 for a part of a body that would be too large or too deep by itself."""
    if len(msgspec.json.encode(value)) > limit:
        raise Rejected(413, "query.too_large", f"The query is larger than {limit} bytes.")
    _check_depth(value, depth)


def refuse_tags(body: bytes, value: Any) -> None:
    """Raise `Rejected` 400 when somebody else writes `{"$int": ...}`: one digest would then stand for two values."""
    if (b"$int" in body or b"\\u" in body) and _holds_tag(value):
        raise Rejected(400, "query.malformed", 'An object with the only member "$int" stands for an integer here.')


def read_query(body: bytes, limit: int = MAX_BODY_BYTES, depth: int = MAX_DEPTH) -> Query:
    """Read the body of `POST /v1/decisions`. Raises `Rejected` 400 or 413 (contracts, section 1)."""
    value = strict_json(body, limit, depth)
    refuse_tags(body, value)
    return query_from(value)


def query_from(value: Any) -> Query:
    """Read one query from parsed JSON. Raises `Rejected` 400 naming the offending member, never its value."""
    try:
        query = msgspec.convert(value, Query)
    except msgspec.ValidationError as error:
        raise Rejected(400, "query.malformed", _member(error)) from None
    check_credential(query.caller)
    if not (0 < len(query.tool.server) <= MAX_NAME and 0 < len(query.tool.name) <= MAX_NAME):
        raise Rejected(400, "query.malformed", f"`tool.server` and `tool.name` take 1 to {MAX_NAME} characters.")
    return query


def check_credential(credential: Credential) -> None:
    """Raise `Rejected` 400 unless exactly one kind of credential was given."""
    if (credential.access_token is None) == (credential.asserted is None):
        raise Rejected(400, "query.malformed", "`caller` takes exactly one of `access_token` and `asserted`.")


def digest(tag: str, value: Any) -> str:
    """Return `sha256:` + hex of SHA-256 over `tag`, a zero byte, and the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(tag.encode() + b"\0" + canonical(value)).hexdigest()


def definition_digest(definition: dict[str, Any]) -> str:
    """Return the full digest of a tool definition as `tools/list` returned it, `_meta` left out (contracts, 6)."""
    return digest("mcp-pdp/definition/v1", {key: value for key, value in definition.items() if key != "_meta"})


def toolset_digest(definitions: list[dict[str, Any]]) -> str:
    """Return one digest for a whole `tools/list`: SHA-256 over its sorted names and definition digests."""
    rows = sorted([str(definition.get("name")), definition_digest(definition)] for definition in definitions)
    return digest("mcp-pdp/toolset/v1", rows)


def action_digest(*, person: str | None, agent: str | None, tool: ToolRef, arguments: dict[str, Any]) -> str:
    """Return the digest that binds an approval to exactly this call by exactly this caller (contracts, 6)."""
    action = {
        "person": person,
        "agent": agent,
        "server": tool.server,
        "tool": tool.name,
        "definition_digest": tool.definition_digest,
        "arguments": arguments,
    }
    return digest("mcp-pdp/action/v1", action)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _refuse_constant(_name: str) -> Any:
    raise ValueError("not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number out of range")
    return number


_READER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _holds_tag(value: Any) -> bool:
    return (isinstance(value, dict) and value.keys() == {"$int"}) or any(map(_holds_tag, _children(value)))


def _check_depth(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise Rejected(400, "query.too_deep", f"The body nests deeper than {depth} levels.")


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Rejected(400, "query.malformed", "The body holds half of a surrogate pair.") from None


def _member(error: msgspec.ValidationError) -> str:
    text = str(error)
    where = text.rpartition(" - at `")[2].rstrip("`") if " - at `" in text else "$"
    expected = text.partition(",")[0] if text.startswith("Expected") else "Unexpected or missing member"
    return f"{expected} at {where[:MAX_NAME]}."
