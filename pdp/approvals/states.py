"""The lives of a request and of the approval that may come of it, as two tables. What is not in them does not happen.

A request asks people about one exact call. When enough of them agree, an approval is made: the right to that call, for
a while, a number of times. They are two things, because "somebody said yes" is not "it may run now" (research,
approvals, section 1.2). The states without a way out are final: a late no revokes the approval.
"""

from typing import Literal, get_args

from ..errors import Fault

RequestState = Literal["open", "approved", "denied", "expired", "cancelled", "superseded"]
RequestStep = Literal["vote", "approve", "deny", "expire", "cancel", "supersede"]
ApprovalState = Literal["active", "spent", "expired", "revoked"]
ApprovalStep = Literal["use", "spend", "expire", "revoke"]

REQUESTS: dict[tuple[RequestState, RequestStep], RequestState] = {
    ("open", "vote"): "open",  # a vote that does not decide yet
    ("open", "approve"): "approved",  # the vote that completes every stage
    ("open", "deny"): "denied",
    ("open", "expire"): "expired",  # nobody decided in time; never a yes
    ("open", "cancel"): "cancelled",  # whoever asked no longer wants it
    ("open", "supersede"): "superseded",  # the tool changed: nobody is asked about what cannot run
}

APPROVALS: dict[tuple[ApprovalState, ApprovalStep], ApprovalState] = {
    ("active", "use"): "active",  # one use of several
    ("active", "spend"): "spent",  # the last use
    ("active", "expire"): "expired",
    ("active", "revoke"): "revoked",
}

RECORDED_AS: dict[RequestStep | ApprovalStep | Literal["open", "attach", "lapse"], str] = {
    "open": "approval.opened",
    "attach": "approval.attached",  # the same call was asked again while the request was open
    "vote": "approval.voted",
    "approve": "approval.approved",
    "deny": "approval.denied",
    "expire": "approval.expired",
    "cancel": "approval.cancelled",
    "supersede": "approval.superseded",
    "use": "approval.used",
    "spend": "approval.spent",
    "lapse": "approval.lapsed",  # an approval that nobody used in time
    "revoke": "approval.revoked",
}

Event = Literal["approval.opened", "approval.reminder", "approval.escalated", "approval.decided"]
EVENTS: tuple[Event, ...] = get_args(Event)
FORESEEN: tuple[Event, ...] = ("approval.reminder", "approval.escalated")  # said in time unless it is decided first

TOLD_AS: dict[str, Event] = {  # what others hear of (`notify.py`), and as what
    "open": "approval.opened",
    "approve": "approval.decided",
    "deny": "approval.decided",
    "expire": "approval.decided",
    "cancel": "approval.decided",
    "supersede": "approval.decided",
}


def request_after(state: RequestState, step: RequestStep) -> RequestState:
    """Return the state that `step` leads a request to. Raises `Fault` when the table has no such transition."""
    if (state, step) not in REQUESTS:
        raise Fault(f"A request that is {state} cannot take the step {step}.")
    return REQUESTS[state, step]


def approval_after(state: ApprovalState, step: ApprovalStep) -> ApprovalState:
    """Return the state that `step` leads an approval to. Raises `Fault` when the table has no such transition."""
    if (state, step) not in APPROVALS:
        raise Fault(f"An approval that is {state} cannot take the step {step}.")
    return APPROVALS[state, step]
