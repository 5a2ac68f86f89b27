"""What operators watch: counters and one histogram, with labels from closed sets only (no names, no ids)."""

from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..answer import Answer
from ..flow import World

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)  # a decision's deadlines add up to 0.5 s
DWELL = (2, 5, 10, 30, 60, 120, 300, 900, 3600, 86400)  # a call is not read in two seconds; a request lasts minutes


class Metrics:
    """The metrics of one process, in a registry of their own so that two applications can live in one test."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter("pdp_decisions", "Decisions told.", ["decision"], registry=self.registry)
        self._decided = cache(self._decisions.labels)  # the library takes a lock and 4 us to find it again
        self._refusals = Counter("pdp_reasons", "Reasons given, by code.", ["code"], registry=self.registry)
        self._seconds = Histogram(
            "pdp_decision_seconds", "Time from query to answer.", buckets=SECONDS, registry=self.registry
        )
        self._ready = Gauge("pdp_ready", "1 when the last readiness probe passed.", registry=self.registry)
        self._renewals = Counter(
            "pdp_policy_renewals", "New policies, by what became of them.", ["result"], registry=self.registry
        )
        self._refused = Gauge(
            "pdp_policy_refused", "1 while what the policy files say was refused.", registry=self.registry
        )
        self._offered = Gauge(
            "pdp_policy_offered", "1 while a sidecar has yet to take up its policy.", registry=self.registry
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
        self._identity = Gauge("pdp_identity_revision", "Identity revision in use.", registry=self.registry)
        self._registry = Gauge("pdp_registry_revision", "Registry revision in use.", registry=self.registry)

    def count(self, given: Answer) -> None:
        """Count one answer. Codes come from `REFUSALS` and the loaded pack, so their number is bounded."""
        self._decided(given.decision).inc()
        self._seconds.observe(given.elapsed_ms / 1000)
        for reason in given.reasons:
            self._refusals.labels(reason.code).inc()

    def ready(self, passed: bool) -> None:
        """Note the outcome of a readiness probe."""
        self._ready.set(1 if passed else 0)

    def policy(self, became: str) -> None:
        """Count what became of a renewal of the policy: activated, offered, rejected, or unchanged."""
        self._refused.set(1 if became == "rejected" else 0)
        if became != "unchanged":
            self._renewals.labels(became).inc()

    def voted(self, vote: str, after_s: float) -> None:
        """Count a vote, approve or deny, given so many seconds after the request was opened."""
        self._votes.labels(vote).observe(max(after_s, 0.0))

    def told(self, became: str, how_many: int) -> None:
        """Count messages about approvals that were delivered, postponed, or given up as dead."""
        self._told.labels(became).inc(how_many)

    def page(self, world: World) -> tuple[bytes, str]:
        """Return the Prometheus text and its content type."""
        self._offered.set(0 if world.policy.newest is world.policy.active else 1)
        self._identity.set(world.people.revision)
        self._registry.set(world.tools.revision)
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
