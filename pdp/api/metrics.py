"""What operators watch: counters and one histogram, with labels from closed sets only (no names, no ids)."""

import math
import time
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from ..answer import Answer
from ..errors import REFUSALS
from .gauges import Gauges

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)  # a decision's deadlines add up to 0.5 s
KEPT_S = 1.0  # writing it takes 3 to 7 ms in which nobody is answered, and whoever reaches the port may ask for it
DWELL = (2, 5, 10, 30, 60, 120, 300, 900, 3600, 86400)  # a call is not read in two seconds; a request lasts minutes


class Metrics:
    """The metrics of one process, in a registry of their own so that two applications can live in one test.

    Their text is written anew once every `kept_s` seconds at most, however many ask for it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.kept_s = KEPT_S
        self._text, self._written_at = b"", -math.inf  # in seconds of `time.monotonic()`
        self._decisions = Counter("pdp_decisions", "Decisions told.", ["decision"], registry=self.registry)
        self._decided = cache(self._decisions.labels)  # the library takes a lock and 4 us to find it again
        self._refusals = Counter("pdp_reasons", "Reasons given, by code.", ["code"], registry=self.registry)
        for code in REFUSALS:
            self._refusals.labels(code)  # from zero on: an increase from nothing to one is none to Prometheus
        self._rejected = Counter("pdp_rejected", "Requests not decided, by code.", ["code"], registry=self.registry)
        for code in ("access.rate", "access.unauthenticated", "audit.unavailable", "overload"):
            self._rejected.labels(code)
        self._seconds = Histogram(
            "pdp_decision_seconds", "Time from query to answer.", buckets=SECONDS, registry=self.registry
        )
        self._renewals = Counter(
            "pdp_policy_renewals", "New policies, by what became of them.", ["result"], registry=self.registry
        )
        self._refused = Gauge(
            "pdp_policy_refused", "1 while what the policy files say was refused.", registry=self.registry
        )
        self._restarts = Counter(
            "pdp_engine_restarts", "Engines started in the place of one that died or hung.", registry=self.registry
        )
        self._votes = Histogram(
            "pdp_approval_vote_seconds",
            "Time from the opening of a request to a vote, by vote: many within seconds are not read.",
            ["vote"],
            buckets=DWELL,
            registry=self.registry,
        )
        self._told = Counter(
            "pdp_approval_messages",
            "Messages about approvals, by what became of them.",
            ["became"],
            registry=self.registry,
        )
        for vote in ("approve", "deny"):
            self._votes.labels(vote)
        for became in ("activated", "offered", "rejected"):
            self._renewals.labels(became)
        for became in ("delivered", "postponed", "dead"):
            self._told.labels(became)

    def count(self, given: Answer) -> None:
        """Count one answer. Codes come from `REFUSALS` and the loaded pack, so their number is bounded."""
        self._decided(given.decision).inc()
        self._seconds.observe(given.elapsed_ms / 1000)
        for reason in given.reasons:
            self._refusals.labels(reason.code).inc()

    def policy(self, became: str) -> None:
        """Count what became of a renewal of the policy: activated, offered, rejected, or unchanged."""
        self._refused.set(1 if became == "rejected" else 0)
        if became != "unchanged":
            self._renewals.labels(became).inc()

    def restarted(self) -> None:
        """Count an engine that took the place of one that died or hung, whichever policy they run."""
        self._restarts.inc()

    def voted(self, vote: str, after_s: float) -> None:
        """Count a vote, approve or deny, given so many seconds after the request was opened."""
        self._votes.labels(vote).observe(max(after_s, 0.0))

    def told(self, became: str, how_many: int) -> None:
        """Count messages about approvals that were delivered, postponed, or given up as dead."""
        self._told.labels(became).inc(how_many)

    def rejected(self, code: str) -> None:
        """Count a request that was turned away; its code is one of those that stand in the code."""
        self._rejected.labels(code).inc()

    def watch(self, gauges: Gauges) -> None:
        """Show how these parts stand as well, and what the process and its engine take."""
        self.registry.register(gauges)
        ProcessCollector(registry=self.registry)
        ProcessCollector("pdp_engine", gauges.engine_pid, registry=self.registry)

    def page(self) -> tuple[bytes, str]:
        """Return the Prometheus text, `kept_s` old at most, and its content type."""
        now = time.monotonic()
        if now - self._written_at >= self.kept_s:
            self._text, self._written_at = generate_latest(self.registry), now
        return self._text, CONTENT_TYPE_LATEST
