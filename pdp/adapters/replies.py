"""Replies: what the caller reads when a tool did not run, or its result is kept back. As wire dicts, for any era.

Written for a model: what happened, that the tool did not run (models narrate success after vaguer texts), and what
would help. The envelope in `_meta` is SEP-2643's; it never says who could approve.
"""

from typing import Any

from ..answer import Answer, Reason
from ..errors import REFUSALS, Refused
from .canonical import Misfit

AUTHORIZATION = "io.modelcontextprotocol/authorization"  # SEP-2643 (draft, text of 2026-08-21)
DECISION = "mcp-pdp/decision"
DID_NOT_RUN = "The tool did not run."

Result = dict[str, Any]


def denied(answer: Answer) -> Result:
    """Return the reply to a call that was denied."""
    lines = [f"Denied. {DID_NOT_RUN}", *(_line(reason) for reason in answer.reasons), f"Decision: {answer.id}"]
    return _reply(lines, answer.id, "unavailable")


def pending(answer: Answer) -> Result:
    """Return the reply to a call that waits for a human."""
    at = f" at {answer.approval.url}" if answer.approval and answer.approval.url else ""
    lines = [
        f"Waiting for a human. {DID_NOT_RUN}",
        *(_line(reason) for reason in answer.reasons),
        f"Ask the user to get it approved{at}, then call the same tool again with the same arguments.",
        f"Decision: {answer.id}",
        *([f"Approval: {answer.approval.id}"] if answer.approval else []),
    ]
    return _reply(lines, answer.id, "undisclosed")


def refused(refusal: Refused, decision: str | None = None) -> Result:
    """Return the reply to a call that this adapter denies itself; `decision` when the PDP had answered before."""
    meaning = REFUSALS[refusal.code]
    lines = [f"Denied. {DID_NOT_RUN}", _line(Reason(refusal.code, meaning.title, meaning.remedy))]
    if isinstance(refusal, Misfit):
        lines.append(f"{refusal.hint}.")
    return _reply([*lines, *([f"Decision: {decision}"] if decision else [])], decision, "undisclosed")


def unknown(name: str) -> Result:
    """Return what `MCPServer` says of a tool it does not have: also said of one that is not registered."""
    return {"content": [_text(f"Unknown tool: {name}")], "isError": True}


def withheld(decision: str) -> Result:
    """Return the reply in place of a result that could not be redacted."""
    meaning = REFUSALS["duties.withheld"]
    lines = [
        "The tool ran, and its result is withheld.",
        _line(Reason("duties.withheld", meaning.title, meaning.remedy)),
    ]
    return _reply([*lines, f"Decision: {decision}"], decision, "unavailable") | {"_meta": _trace(decision)}


def traced(result: Result, decision: str) -> Result:
    """Return a result with the id of the decision that let it through."""
    return result | {"_meta": {**(result.get("_meta") or {}), **_trace(decision)}}


def envelope(remediation: str, decision: str | None = None) -> dict[str, Any]:
    """Return the members that say, to programs, that nothing ran: SEP-2643's envelope and the decision's id."""
    told: dict[str, Any] = {"reason": "insufficient_authorization", "remediation": remediation}
    if decision:
        told["authorizationContextId"] = decision
    return {AUTHORIZATION: told} | (_trace(decision) if decision else {})


def _reply(lines: list[str], decision: str | None, remediation: str) -> Result:
    return {"content": [_text("\n".join(lines))], "isError": True, "_meta": envelope(remediation, decision)}


def _trace(decision: str) -> dict[str, Any]:
    return {DECISION: {"id": decision}}


def _line(reason: Reason) -> str:
    return f"- {reason.title} ({reason.code}). {reason.remedy}"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
