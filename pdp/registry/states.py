"""The life of a tool definition, as one table. Two rules: what is not in the table is refused, and nothing else moves.

A definition is one digest of one tool. At most one definition of a tool is approved at a time (the store enforces it).
"""

from typing import Literal

from ..errors import Fault

Status = Literal["submitted", "approved", "superseded", "quarantined", "revoked"]
Step = Literal["approve", "review", "supersede", "quarantine", "revoke"]

TRANSITIONS: dict[tuple[Status, Step], Status] = {
    ("submitted", "approve"): "approved",
    ("submitted", "quarantine"): "quarantined",
    ("submitted", "revoke"): "revoked",
    ("approved", "review"): "approved",  # the same definition under another class, owner, labels or scopes
    ("approved", "supersede"): "superseded",  # because another definition of the tool was approved
    ("approved", "quarantine"): "quarantined",
    ("approved", "revoke"): "revoked",
    ("superseded", "approve"): "approved",  # a roll-back
    ("superseded", "quarantine"): "quarantined",
    ("superseded", "revoke"): "revoked",
    ("quarantined", "approve"): "approved",
    ("quarantined", "revoke"): "revoked",
}

RECORDED_AS: dict[Step, str] = {  # superseding is part of the record of the approval that caused it
    "approve": "registry.approved",
    "review": "registry.reviewed",
    "quarantine": "registry.quarantined",
    "revoke": "registry.revoked",
}

REFUSED_AS: dict[Status, str] = {  # how a call is refused that shows a definition of this status
    "submitted": "tool.unapproved",
    "superseded": "tool.drifted",
    "quarantined": "tool.quarantined",
    "revoked": "tool.revoked",
}


def after(status: Status, step: Step) -> Status:
    """Return the status that `step` leads to. Raises `Fault` when the table has no such transition."""
    if (status, step) not in TRANSITIONS:
        possible = sorted(name for (origin, name) in TRANSITIONS if origin == status)
        raise Fault(f"A definition that is {status} cannot take the step {step}; possible: {possible or 'none'}.")
    return TRANSITIONS[status, step]


def refusal(statuses: dict[str, Status], digest: str | None) -> tuple[str, str] | None:
    """Say why a call is refused that shows `digest`: code and note; `None` when that definition is approved.

    `statuses` holds the status of every known definition of the tool by digest; none known is an unknown tool.
    """
    if not statuses:
        return "tool.unknown", ""
    if digest is not None and digest in statuses:
        status = statuses[digest]
        return None if status == "approved" else (REFUSED_AS[status], f"this definition is {status}")
    if "approved" in statuses.values():
        return "tool.drifted", "no definition digest was sent" if digest is None else "a definition never seen before"
    standing = min(statuses.values(), key=_gravest.index)
    return REFUSED_AS[standing], f"no definition of the tool is approved; the gravest is {standing}"


_gravest: list[Status] = ["quarantined", "revoked", "submitted", "superseded"]
