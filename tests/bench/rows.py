"""The rows of the bench: who asks what, whose CPU time is counted, and what a row is compared with."""

from typing import Literal

from msgspec import Struct

HTTP, ENGINE = "tests.bench.http_load", "tests.bench.engine_load"
ADAPTER, LOG = "tests.bench.adapter_load", "tests.bench.log_load"
LOADS = (HTTP, ENGINE, ADAPTER, LOG)
MANY = (1, 16, 64)  # connections
FEW = (1, 16)
ONE = (1,)
BATCH = 50  # decisions
LIST = 200  # tools, the longest list that one question may hold

Process = str
"""`raw` (OPA), `pdp` and `pdp_opa` (its own), `wasm` (the PDP with `PDP_ENGINE=wasm`), or a name of the moment."""


class Kind(Struct, frozen=True):
    """How a row is measured. `own`: the column in which the CPU of the load process counts, when that is our code.

    `against` is the row its ratios refer to, `against_at` at how many connections (none: at as many). An answer holds
    `each` decisions; its times are of the whole answer, everything else is for each decision.
    """

    says: str
    connections: tuple[int, ...] = MANY
    load: str = HTTP
    pdp: Process | None = None
    opa: Process | None = None
    own: Literal["pdp", "adapter"] | None = None
    against: str = "raw_opa"
    against_at: int | None = None
    each: int = 1


KINDS = {
    "raw_opa": Kind("OPA alone, asked with the policy inputs of `decision_read`", opa="raw"),
    "engine_client": Kind("the same OPA and inputs through our engine client", load=ENGINE, opa="raw", own="pdp"),
    "wasm_engine": Kind("the same inputs in our wasm engine", load=ENGINE, own="pdp"),
    "decision_read": Kind("`POST /v1/decisions`, a tool that reads", pdp="pdp", opa="pdp_opa"),
    "decision_wasm": Kind("the same with `PDP_ENGINE=wasm`", pdp="wasm"),
    "raw_opa_write": Kind("OPA alone, with the inputs of `decision_write`", opa="raw", against="raw_opa_write"),
    "decision_write": Kind(
        "`POST /v1/decisions`, a tool that writes: on the disk before it is answered",
        pdp="pdp",
        opa="pdp_opa",
        against="raw_opa_write",
    ),
    "batch_50": Kind(
        f"`POST /v1/decisions/batch` of {BATCH}; times of the batch, the rest a decision, against 16 connections",
        connections=ONE,
        pdp="pdp",
        opa="pdp_opa",
        against_at=16,
        each=BATCH,
    ),
    "raw_opa_visible": Kind(
        f"OPA alone, which of {LIST} tools may be seen: one question, one answer",
        connections=ONE,
        opa="raw",
        against="raw_opa_visible",
    ),
    "visible_200": Kind(
        f"`POST /v1/tools/visible` over {LIST} tools, a list",
        connections=ONE,
        pdp="pdp",
        opa="pdp_opa",
        against="raw_opa_visible",
    ),
    "adapter_decide": Kind(
        "the adapter's client asks for `decision_read`",
        connections=FEW,
        load=ADAPTER,
        pdp="pdp",
        opa="pdp_opa",
        own="adapter",
    ),
    "adapter_call": Kind(
        "a whole enforced call: arguments made canonical, decision, tool (empty), outcome told",
        connections=FEW,
        load=ADAPTER,
        pdp="pdp",
        opa="pdp_opa",
        own="adapter",
    ),
    "log_write": Kind("the log alone, level of tools that read: `write`", load=LOG, own="pdp", against="log_write"),
    "log_durable": Kind(
        "the log alone, level of every other tool: `fdatasync`", load=LOG, own="pdp", against="log_write"
    ),
    "engine_client_write": Kind(
        "the engine client with the inputs of `decision_write`",
        load=ENGINE,
        opa="raw",
        own="pdp",
        against="raw_opa_write",
    ),
}
PEERS = {
    "cerbos": Kind(
        "Cerbos as installed. Whoever asks looks up all facts and verifies the token; no decision is kept",
        connections=FEW,
        pdp="cerbos",
        against="raw_opa_write",
    ),
    "cerbos_token_log": Kind(
        "Cerbos that also verifies the token's signature and writes decisions to a file (not synced, not chained)",
        connections=FEW,
        pdp="cerbos_token_log",
        against="raw_opa_write",
    ),
    "eunomia": Kind(
        "Eunomia as installed: looks roles and delegations up in its SQLite. No token, no log of decisions",
        connections=FEW,
        pdp="eunomia",
        against="raw_opa_write",
    ),
    "eunomia_bare": Kind(
        "Eunomia without its registry: whoever asks looks up all facts. No token, no log of decisions",
        connections=FEW,
        pdp="eunomia_bare",
        against="raw_opa_write",
    ),
}
ALL = KINDS | PEERS
DEFAULT = [name for name in KINDS if name != "engine_client_write"]


class Row(Struct, frozen=True):
    """Medians over the rounds (contracts, section 8); times of an answer, the rest for each decision.

    `pdp_cpu_us`: of the PDP, or of an engine, a log or a peer alone; `adapter_cpu_us`: of the adapter that asked.
    """

    name: str
    connections: int
    p50_us: float
    p99_us: float
    rps: float
    pdp_cpu_us: float
    opa_cpu_us: float
    adapter_cpu_us: float = 0.0

    @property
    def cpu_us(self) -> float:
        """Return the CPU time of everything that takes part in a decision, but the load generator."""
        return self.pdp_cpu_us + self.opa_cpu_us + self.adapter_cpu_us

    @property
    def per_cpu_s(self) -> float:
        """Return how many decisions one CPU second gives, everything counted; 0 when no CPU was measured."""
        return 1e6 / self.cpu_us if self.cpu_us else 0.0


def found(name: str, connections: int, rows: list[Row]) -> Row | None:
    """Return the row of that name at so many connections."""
    return next((row for row in rows if (row.name, row.connections) == (name, connections)), None)
