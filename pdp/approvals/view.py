"""What is shown of a request: to the adapter that waits, and to the people who are asked.

`presented_digest` covers what a voter had before their eyes; a vote repeats it, so that nobody agrees to a page that
has changed under them, and the log can prove what was shown.
"""

from typing import Any

from msgspec import Struct, field

from ..query import digest

Row = dict[str, Any]
TAG = "mcp-pdp/presented/v1"


class ApprovalStatus(Struct, frozen=True, omit_defaults=True):
    """How a request stands, for whoever waits for it. `feedback` is from the person who refused.

    `uses_left` and `not_after` are of the approval, once there is one.
    """

    id: str
    status: str
    opened_at: str
    expires_at: str
    decided_at: str | None = None
    feedback: str = ""
    approval: str | None = None
    uses_left: int | None = None
    not_after: str | None = None


class VoteShown(Struct, frozen=True):
    """A vote that was counted."""

    person: str
    vote: str
    stage: str
    at: str
    reason: str


class ApprovalShown(Struct, frozen=True):
    """A request as a person sees it: the exact call, why it asks, who else must agree, both clocks."""

    status: ApprovalStatus
    action_digest: str
    server: str
    tool: str
    person: str | None
    agent: str | None
    gates: list[str]
    stages: list[dict[str, Any]]
    justification: bool
    shown: dict[str, Any]
    presented_digest: str
    votes: list[VoteShown] = field(default_factory=list)


def status_of(request: Row, approval: Row | None) -> ApprovalStatus:
    """Return how a request stands."""
    granted = approval or {}
    return ApprovalStatus(
        id=request["id"],
        status=request["state"],
        opened_at=request["opened_at"],
        expires_at=request["expires_at"],
        decided_at=request["decided_at"],
        feedback=request["feedback"],
        approval=granted.get("state"),
        uses_left=granted.get("uses_left"),
        not_after=granted.get("not_after"),
    )


def shown_to_a_person(request: Row, votes: list[Row], approval: Row | None) -> ApprovalShown:
    """Return a request as a person sees it."""
    return ApprovalShown(
        status=status_of(request, approval),
        action_digest=request["shown"]["action"],
        server=request["server"],
        tool=request["tool"],
        person=request["person"],
        agent=request["agent"],
        gates=request["gates"],
        stages=request["plan"]["stages"],
        justification=request["plan"]["justification"],
        shown=request["shown"],
        presented_digest=presented_digest(request),
        votes=[VoteShown(row["person"], row["vote"], row["stage"], row["at"], row["reason"]) for row in votes],
    )


def presented_digest(request: Row) -> str:
    """Return the digest of what voters are shown of the call; it does not change while they vote.

    Nobody can find masked values by trying them: the call's own digest is in it as it is shown.
    """
    names = ("id", "person", "agent", "chain", "gates", "plan", "shown", "expires_at")
    return digest(TAG, {name: request[name] for name in names})
