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
APPROVAL = "mcp-pdp/approval"
DID_NOT_RUN = "The tool did not run."
RETRY_AFTER_S = 30  # between two looks of a model: people take longer than that, and each look costs it a turn

Result = dict[str, Any]


def denied(answer: Answer) -> Result:
    """Return the reply to a call that was denied. What people said of it stands in its reason, in their words."""
    lines = [f"Denied. {DID_NOT_RUN}", *(_line(reason) for reason in answer.reasons)]
    if any(reason.code == "approvals.denied" for reason in answer.reasons):
        lines.append(
            "A person has decided. Tell the user what they said and act on it; do not make this call again, and do not "
            "look for another way to the same effect."
        )
    return _reply([*lines, f"Decision: {answer.id}"], answer.id, "unavailable")


def pending(answer: Answer, since: str | None = None) -> Result:
    """Return the reply to a call that waits for a human; `since`: when they were asked, if that was before.

    What a rule suggests instead ("a smaller amount") is left out: people have been asked about this call.
    """
    ticket = answer.approval
    at = f" at {ticket.url}" if ticket and ticket.url else ""
    so_far = f"People were asked at {since} and have not decided yet." if since else "People have been asked."
    lines = [
        f"{'Still waiting' if since else 'Waiting'} for a human. {DID_NOT_RUN}",
        *(f"- {reason.title} ({reason.code})." for reason in answer.reasons),
        f"{so_far} What to do now:",
        f"1. Ask the user to get it approved{at}. You cannot approve it yourself.",
        "2. As soon as they say it is approved, call the same tool again with the same arguments: then it can run.",
        "   Other arguments make another call, which asks people anew.",
        f"3. You may also call it again to see how it stands: {RETRY_AFTER_S} seconds apart, and a few times at most.",
        "4. Do not say that it was done until a call has returned its result.",
        "   Go on with other work, or end your turn and say what waits.",
        *([f"Approval: {ticket.id}, open until {ticket.expires_at}"] if ticket else []),
        f"Decision: {answer.id}",
    ]
    reply = _reply(lines, answer.id, "undisclosed")
    return reply | {"_meta": {**reply["_meta"], **_asked(answer, since)}}


def ended(answer: Answer, code: str) -> Result:
    """Return the reply to a call that people were asked about in vain: `code` says how it ended."""
    meaning = REFUSALS[code]
    lines = [f"Denied. {DID_NOT_RUN}", _line(Reason(code, meaning.title, meaning.remedy))]
    lines += [f"Approval: {answer.approval.id}"] if answer.approval else []
    return _reply([*lines, f"Decision: {answer.id}"], answer.id, "undisclosed")


def to_open(answer: Answer, url: str, state: str, message: str | None) -> Result:
    """Return the result (2026-07-28) that has the client call once more, with `state`.

    With a `message`, its user is first asked to open `url`, the page about this call. That they did is no approval.
    """
    page = {"method": "elicitation/create", "params": {"mode": "url", "message": message, "url": url}}
    known = envelope("available", answer.id)
    known[AUTHORIZATION]["remediationHints"] = [{"type": "url", "url": url}]
    return {
        "resultType": "input_required",
        **({"inputRequests": {APPROVAL: page}} if message else {}),
        "requestState": state,
        "_meta": {**known, **_asked(answer, None)},
    }


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


def _asked(answer: Answer, since: str | None) -> dict[str, Any]:
    """Return the member that says to programs what is waited for, so that a host can wait in its model's place."""
    if answer.approval is None:
        return {}
    told = {"id": answer.approval.id, "status": "open", "expires_at": answer.approval.expires_at}
    return {APPROVAL: {**told, **({"since": since} if since else {}), "retry_after_s": RETRY_AFTER_S}}


def _trace(decision: str) -> dict[str, Any]:
    return {DECISION: {"id": decision}}


def _line(reason: Reason) -> str:
    return f"- {reason.title} ({reason.code}). {reason.remedy}"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
