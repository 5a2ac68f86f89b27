"""What is right for a call, worked out from what the soak itself has set, and from nothing that the PDP says.

While a change settles, the old and the new are both true; then the new alone. So each call has a set of right answers:
one mostly, two around a change. What is denied because a part was broken is right too, and an allow never is by that.
"""

import itertools
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from . import cast
from .cast import Call

Right = Literal["allow", "deny", "needs_approval"]
BROKEN = {  # codes of denies that a broken or slow part explains
    "approvals.unavailable",
    "deadline",
    "engine.timeout",
    "engine.unavailable",
    "facts.stale",
    "facts.unavailable",
}
BAD_TOKENS = ("expired", "foreign")


@dataclass
class Span:
    """A value, and the moments (of the loop) between which it can have been true."""

    value: Any
    since: float
    until: float = math.inf


class Fact:
    """One thing that the soak changes."""

    def __init__(self, value: Any) -> None:
        self._spans = [Span(value, -math.inf)]

    @property
    def latest(self) -> Any:
        """Return what it was last changed to, settled or not."""
        return self._spans[-1].value

    def changes(self, value: Any, now: float) -> None:
        """From now on it can be `value`; it can also still be what it was, until the change has settled."""
        self._spans.append(Span(value, now))

    def settled(self, at: float) -> None:
        """From that moment on it is what it was last changed to, and nothing else."""
        for span in self._spans[:-1]:
            span.until = min(span.until, at)

    def between(self, began: float, ended: float) -> list[Any]:
        """Return the values that can have been true at some moment between two."""
        return list({span.value for span in self._spans if span.since <= ended and began <= span.until})


@dataclass
class Truth:
    """All that the soak changes: who is stopped (kind, id), which tools are quarantined, above what amount to ask."""

    stopped: dict[tuple[str, str], Fact] = field(default_factory=dict)
    quarantined: dict[str, Fact] = field(default_factory=dict)
    asks_above: Fact = field(default_factory=lambda: Fact(cast.ASKS_ABOVE))

    def right(self, call: Call, began: float, ended: float) -> set[Right]:
        """Return what may be said to a call that was sent and answered at these moments."""
        names = [("person", call.person), ("session", f"s-{call.person}"), ("agent", call.agent or "")]
        facts = [self.stopped[name] for name in names if name in self.stopped]
        stopped = [fact.between(began, ended) for fact in facts]
        quarantined = self.quarantined[call.tool].between(began, ended) if call.tool in self.quarantined else [False]
        above = self.asks_above.between(began, ended)
        return {
            "deny" if quarantine or any(stops) else expected(call, limit)
            for quarantine, limit, *stops in itertools.product(quarantined, above, *stopped)
        }


def expected(call: Call, asks_above: int) -> Right:
    """Return what is right while nobody is stopped, by the feed and the default policy of `cast.py`."""
    if call.token in BAD_TOKENS or call.tool not in cast.TOOLS:
        return "deny"
    if call.arguments.keys() != set(cast.TOOLS[call.tool][0]["inputSchema"]["required"]):
        return "deny"
    if call.tool == "delete_customer":
        return "deny" if call.agent else "needs_approval"  # agents may write, and deleting is more
    if call.tool == "create_refund" and call.arguments["amount"] > cast.MOST:
        return "deny"
    if call.tool == "create_refund" and call.arguments["amount"] > asks_above:
        return "needs_approval"
    return "allow"


def broken(answer: dict[str, Any]) -> bool:
    """Say whether an answer is a deny because a part was away or late."""
    codes = {reason["code"] for reason in answer.get("reasons", [])}
    return answer.get("decision") == "deny" and bool(codes) and codes <= BROKEN
