"""What was promised (issue 7, and issue 4 for the size of the store), measured on the rows of one run: kept or not."""

from collections.abc import Callable
from typing import NamedTuple

from .rows import ALL, Row, found


class Promise(NamedTuple):
    """A figure with its bound. `of` reads it from the rows; `row` and `connections` say where it is measured."""

    says: str
    row: str
    connections: int
    of: Callable[[Row, Row], float]
    bound: float
    at_most: bool
    unit: str = "x"

    @property
    def bounded(self) -> str:
        """Return the bound as people read it."""
        return f"{'<=' if self.at_most else '>='} {self.shown(self.bound)}"

    def shown(self, value: float) -> str:
        """Return a figure with its unit."""
        return f"{value:,.2f}x" if self.unit == "x" else f"{value:,.0f} {self.unit}"

    def keeps(self, value: float) -> bool:
        """Say whether a figure is within the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


class Kept(NamedTuple):
    """A promise and what was measured: nothing, when one of its rows is not in the run."""

    promise: Promise
    measured: float | None

    @property
    def verdict(self) -> str:
        """Return `yes`, `no` or `not measured`."""
        if self.measured is None:
            return "not measured"
        return "yes" if self.promise.keeps(self.measured) else "no"


def _p50(row: Row, raw: Row) -> float:
    return row.p50_us / raw.p50_us


def _p99(row: Row, raw: Row) -> float:
    return row.p99_us / raw.p99_us


def _rps(row: Row, raw: Row) -> float:
    return row.rps / raw.rps


def _own_cpu(row: Row, _raw: Row) -> float:
    return row.pdp_cpu_us


def _per_cpu(row: Row, raw: Row) -> float:
    return row.per_cpu_s / raw.per_cpu_s


PROMISES = [
    Promise("read decision, p50 against raw OPA", "decision_read", 1, _p50, 1.8, at_most=True),
    Promise("read decisions a second against raw OPA", "decision_read", 16, _rps, 0.65, at_most=False),
    Promise("read decision, p99 against raw OPA", "decision_read", 16, _p99, 2.0, at_most=True),
    Promise("CPU of the PDP for a read decision", "decision_read", 16, _own_cpu, 150, at_most=True, unit="us"),
    Promise("durable write decisions a second against raw OPA", "decision_write", 64, _rps, 0.5, at_most=False),
    Promise("wasm: decisions a CPU second against raw OPA", "decision_wasm", 16, _per_cpu, 1.3, at_most=False),
    Promise("wasm: read decision, p50 against raw OPA", "decision_wasm", 1, _p50, 0.8, at_most=True),
]


def baseline(row: Row, rows: list[Row]) -> Row | None:
    """Return what a row is compared with: raw OPA on the same inputs, mostly at the same number of connections."""
    kind = ALL.get(row.name)
    against, at = (kind.against, kind.against_at) if kind else ("raw_opa", None)
    return found(against, at or row.connections, rows)


def kept(rows: list[Row]) -> list[Kept]:
    """Return each promise with what these rows say about it."""
    judged = []
    for promise in PROMISES:
        row = found(promise.row, promise.connections, rows)
        raw = baseline(row, rows) if row else None
        judged.append(Kept(promise, promise.of(row, raw) if row and raw else None))
    return judged
