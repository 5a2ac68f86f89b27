"""Taking back what was asked, or what was agreed to and is not used yet: by whom, and which of the two it is. Pure.

Both only ever take a right away, so nobody else has to agree.
"""

from typing import Any, Literal

from ..errors import Rejected

Row = dict[str, Any]
Withdrawal = Literal["cancel", "revoke"]
NOT_CONCERNED = Rejected(403, "approvals.not_concerned", "Only those it concerns take it back.")


def withdrawal_open(request: Row, approval: Row | None, now: str) -> Withdrawal | None:
    """Return what can be taken back of a request at a time: the question, the right that came of it, or nothing."""
    if request["state"] == "open" and request["expires_at"] > now:
        return "cancel"
    if approval is not None and approval["state"] == "active" and approval["not_after"] > now:
        return "revoke"
    return None


def those_concerned(step: Withdrawal, request: Row, votes: list[Row]) -> frozenset[str]:
    """Return the people who may take a request back: it is made for them, or their agent; a right also who voted."""
    behind = {request["person"], *request["owners"]} - {None}
    return frozenset(behind if step == "cancel" else behind | {row["person"] for row in votes})
