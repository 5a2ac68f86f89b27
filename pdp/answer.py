"""Answer: decision, reasons, duties, receipt, how to ask for approval. What leaves the PDP, and what adapters read.

Adapters import this module, so it needs nothing but msgspec (contracts, section 1).
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

Decision = Literal["allow", "deny", "needs_approval"]
Level = Literal["minimal", "low", "medium", "high", "critical"]


class Reason(Struct, frozen=True, omit_defaults=True):
    """Why a call was not simply allowed: a code, and words for a human from the rule's METADATA or `REFUSALS`."""

    code: str
    title: str
    remedy: str
    owner: str | None = None


class Evidence(Struct, frozen=True):
    """One reason for risk, with its share of the score in points."""

    code: str
    points: float
    since: str
    source: str


class Risk(Struct, frozen=True):
    """A score of 0 to 100 whose evidence adds up to it; `coverage` says which inputs were present."""

    score: float
    level: Level
    evidence: list[Evidence]
    coverage: dict[str, bool] = field(default_factory=dict)


class Receipt(Struct, frozen=True):
    """Where the decision stands in the log: the log's origin, the entry's index and the digest of its bytes."""

    origin: str
    index: int
    entry_digest: str


class Revisions(Struct, frozen=True, omit_defaults=True):
    """The policy, identity and registry the decision was taken on; absent where the call did not get that far."""

    policy: str | None = None
    identity: int | None = None
    registry: int | None = None


class ApprovalTicket(Struct, frozen=True, omit_defaults=True):
    """Where people were asked whether this call may go ahead: the same call again finds what they said.

    `poll` is a path of this API; `url` a page for people, where there is one.
    """

    id: str
    status: str
    expires_at: str
    poll: str
    url: str | None = None


class Answer(Struct, frozen=True, omit_defaults=True):
    """The answer to one query. Fields that do not apply are absent, never null."""

    id: str
    decision: Decision
    reasons: list[Reason]
    revisions: Revisions
    evaluated_at: str
    elapsed_ms: float
    receipt: Receipt | None = None
    risk: Risk | None = None
    duties: list[dict[str, Any]] = field(default_factory=list)
    approval: ApprovalTicket | None = None
    grant: str | None = None


def read_answer(body: bytes) -> Answer:
    """Read an answer from the PDP. Raises `msgspec.DecodeError` when it is not one: the adapter then denies."""
    return msgspec.json.decode(body, type=Answer)
