"""What a run of the bench leaves behind: a table for people, the results file, and the table in the documentation."""

from typing import Any

from msgspec import Struct

from .rounds import Row

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
FIGURES = ["row", "conns", "p50", "p99", "req/s", "PDP CPU", "OPA CPU"]
HEADINGS = [*FIGURES, "p50 /raw", "p99 /raw", "req/s /raw", "CPU /raw"]


class Results(Struct, frozen=True):
    """The file of contracts, section 8. All its rows come from one run."""

    machine: dict[str, Any]
    revision: str
    rows: list[Row]


def baseline(row: Row, rows: list[Row]) -> Row | None:
    """Return raw OPA on the same inputs at the same number of connections."""
    wanted = "raw_opa_write" if row.name.endswith("_write") else "raw_opa"
    return next((raw for raw in rows if (raw.name, raw.connections) == (wanted, row.connections)), None)


def cells(row: Row, rows: list[Row]) -> list[str]:
    """Return a row of the table: figures, then ratios to raw OPA. CPU is compared with everything counted."""
    times = [f"{microseconds / 1000:,.2f} ms" for microseconds in (row.p50_us, row.p99_us)]
    cpu = [f"{spent:,.0f} us" if spent else "" for spent in (row.pdp_cpu_us, row.opa_cpu_us)]
    figures = [row.name, str(row.connections), *times, f"{row.rps:,.0f}", *cpu]
    raw = baseline(row, rows)
    if raw is None:
        return figures + [""] * (len(HEADINGS) - len(figures))
    spent = (row.pdp_cpu_us + row.opa_cpu_us) / raw.opa_cpu_us
    ratios = row.p50_us / raw.p50_us, row.p99_us / raw.p99_us, row.rps / raw.rps, spent
    return figures + [f"{ratio:.2f}" for ratio in ratios]


def text_table(rows: list[Row]) -> str:
    """Return the table for a terminal, a blank line between numbers of connections."""
    table = [HEADINGS, *(cells(row, rows) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines: list[str] = []
    for above, line in zip([HEADINGS, *table], table, strict=False):
        if line[1] != above[1]:
            lines.append("")
        padded = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        lines.append("  ".join([line[0].ljust(widths[0]), *padded]))
    return "\n".join(lines)


def document(page: str, results: Results) -> str:
    """Return the page with the marked block written anew. Raises `ValueError` when the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no block from {BEGIN} to {END}: put the marks where the table belongs")
    return f"{before}{BEGIN}\n{_block(results)}\n{END}{after}"


def _block(results: Results) -> str:
    lines = [f"Measured at `{results.revision[:12]}` by `make bench`, all rows in one run.", ""]
    lines += [f"* {name}: {value}" for name, value in results.machine.items()]
    lines += ["", _markdown(HEADINGS), "|---|" + "---:|" * (len(HEADINGS) - 1)]
    lines += [_markdown(cells(row, results.rows)) for row in results.rows]
    return "\n".join(lines)


def _markdown(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
