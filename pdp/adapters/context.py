"""Context: what a call says about itself, the client's own word: recorded, never identity or permission."""

from collections.abc import Mapping
from typing import Any

INVOCATION = "io.modelcontextprotocol/aiInvocation"  # SEP-2817 (draft)
INTENT = "mcp-pdp/intent"  # the same, for hosts that stamp it before the draft is accepted
MAX_PROMPT = 16 * 1024  # characters; what is cut off is marked, so that nobody takes a part for the whole
MAX_WORD = 256  # of ids and names
CUT = " [cut]"


def context_of(
    *, method: str, request_id: object, version: str, meta: Mapping[str, Any], client: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `context` of a query (contracts, section 1): only members that were given, as text, within limits."""
    return _given(
        mcp_method=_text(method, MAX_WORD),
        request_id=_text(str(request_id), MAX_WORD),
        traceparent=_text(meta.get("traceparent"), MAX_WORD),
        protocol_version=_text(version, MAX_WORD),
        intent=_intent(meta),
        client_info=_given(name=_text(client.get("name"), MAX_WORD), version=_text(client.get("version"), MAX_WORD)),
    )


def _intent(meta: Mapping[str, Any]) -> dict[str, Any]:
    invocation, own = _object(meta.get(INVOCATION)), _object(meta.get(INTENT))
    prompt = _object(invocation.get("userIntent")).get("text", own.get("prompt"))
    model = _object(invocation.get("model")).get("name", own.get("model"))
    return _given(
        prompt=_text(prompt, MAX_PROMPT),
        turn=_text(invocation.get("turnId", own.get("turn")), MAX_WORD),
        model=_text(model, MAX_WORD),
    )


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        return ""
    clean = value.encode("utf-8", "replace").decode()
    return clean if len(clean) <= limit else clean[: limit - len(CUT)] + CUT
