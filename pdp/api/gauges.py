"""How the parts stand, read from them when somebody scrapes: no decision pays for these, and no scrape asks the store.

Labels come from closed sets, but for the revision of the policy, of which there is one at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..approvals.waiting import Waiting
from ..audit.projection import Projection
from ..engine import Watched
from ..engine.local import LocalOpa
from ..flow import World
from ..identity.peps import Peps
from ..meter import Times
from ..readiness import Readiness
from .admission import Learning


@dataclass(frozen=True)
class Gauges(Collector):
    """Reads the parts of a service."""

    world: World
    readiness: Readiness
    peps: Peps
    projection: Projection
    places: Learning
    waiting: Waiting

    def collect(self) -> Iterator[Metric]:
        """Yield everything as it stands now (called by the library)."""
        yield from self._load()
        yield from self._log()
        yield from self._facts()
        yield from self._policy()
        yield from self._people()

    def engine_pid(self) -> int | str:
        """Return the process id of the OPA that is ours, or what is no process."""
        engine = self.world.policy.active.engine
        return (engine.pid if isinstance(engine, LocalOpa) else None) or "none"

    def _load(self) -> Iterator[Metric]:
        policy = self.world.policy.active
        yield _gauge("pdp_ready", "1 when the last readiness probe passed.", int(self.readiness.passed))
        yield _gauge("pdp_underway", "Requests being decided.", self.places.held)
        yield _gauge("pdp_underway_most", "Requests that may be decided at the same time now.", int(self.places.room))
        yield _histogram("pdp_engine_seconds", "Time the policy engine took, with its queue.", self.places.engine)
        engine = policy.engine
        if isinstance(engine, Watched):
            yield _gauge("pdp_engine_waiting", "Calls that wait for the engine.", engine.waiting)
            yield _gauge("pdp_engine_running", "1 while there is an engine to ask.", int(engine.running))

    def _log(self) -> Iterator[Metric]:
        log = self.world.log
        yield _histogram("pdp_log_write_seconds", "Time of one write to the log.", log.writes)
        yield _histogram("pdp_log_sync_seconds", "Time of one fdatasync of the log.", log.syncs)
        yield _gauge("pdp_log_waiting", "Entries that wait for the log.", log.waiting)
        yield _gauge("pdp_log_healthy", "0 from an error of the log until it is written again.", int(log.healthy))
        yield _gauge("pdp_log_entries", "Entries in the log of this worker.", log.committed)
        yield _counter("pdp_log_refused", "Entries that were not written in time, so nobody was told.", log.refused)
        behind = max(0, log.committed - self.projection.position)
        yield _gauge("pdp_projection_behind", "Entries of the log that cannot be looked up yet.", behind)

    def _facts(self) -> Iterator[Metric]:
        ages = GaugeMetricFamily("pdp_facts_age_seconds", "Time since the store was last followed.", labels=["facts"])
        for name, part in (("identities", self.world.people), ("registry", self.world.tools), ("keys", self.peps)):
            ages.add_metric([name], part.age_s())
        yield ages
        yield _gauge("pdp_identity_revision", "Identity revision in use.", self.world.people.revision)
        yield _gauge("pdp_registry_revision", "Registry revision in use.", self.world.tools.revision)
        tools = GaugeMetricFamily("pdp_registry_definitions", "Tool definitions, by status.", labels=["status"])
        for status, count in self.world.tools.statuses().items():
            tools.add_metric([status], count)
        yield tools
        yield _gauge(
            "pdp_registry_drifts", "Definitions seen that nobody approved, since the start.", self.world.tools.drifts
        )
        tokens = self.world.tokens
        looked = CounterMetricFamily("pdp_token_cache", "Tokens looked for among those verified.", labels=["result"])
        looked.add_metric(["hit"], tokens.hits)
        looked.add_metric(["miss"], tokens.misses)
        yield looked
        yield _gauge(
            "pdp_issuers_stale", "Issuers whose keys could not be renewed for a while.", tokens.stale_issuers()
        )

    def _policy(self) -> Iterator[Metric]:
        policy = self.world.policy
        build = GaugeMetricFamily("pdp_build_info", "The release that runs.", labels=["version"])
        build.add_metric([version("mcp-pdp")], 1)
        yield build
        info = GaugeMetricFamily("pdp_policy_info", "The policy in force.", labels=["revision"])
        info.add_metric([policy.active.pack.revision], 1)
        yield info
        offered = 0 if policy.newest is policy.active else 1
        yield _gauge("pdp_policy_offered", "1 while a sidecar has yet to take up its policy.", offered)

    def _people(self) -> Iterator[Metric]:
        backlog = self.waiting.backlog
        known = int(backlog is not None)
        yield _gauge("pdp_backlog_known", "0 while the store does not say what waits for people.", known)
        if backlog is None:
            return  # a series that is not there fires no alert and draws no line; an old number would do both
        yield _gauge("pdp_approvals_open", "Requests that wait for people.", backlog.open)
        yield _gauge("pdp_approvals_oldest_seconds", "Age of the oldest of them.", backlog.oldest_open_s)
        yield _gauge("pdp_outbox_due", "Messages about approvals that are due and not delivered.", backlog.due)
        yield _gauge("pdp_outbox_oldest_seconds", "Age of the oldest of them.", backlog.oldest_due_s)
        yield _gauge("pdp_outbox_dead", "Messages that were given up in the last 30 days.", backlog.dead)


def _gauge(name: str, means: str, value: float) -> Metric:
    return GaugeMetricFamily(name, means, value=value)


def _counter(name: str, means: str, value: float) -> Metric:
    return CounterMetricFamily(name, means, value=value)


def _histogram(name: str, means: str, times: Times) -> Metric:
    return HistogramMetricFamily(name, means, buckets=list(times.buckets()), sum_value=times.total_s)
