"""What a run of the bench leaves behind: tables for people, the results file, and parts of `docs/performance.md`."""

from typing import Any

from msgspec import Struct

from .promised import baseline, kept
from .rows import ALL, Row, found
from .scale import FLAT, Scale

FIGURES = ["row", "conns", "p50", "p99", "req/s", "PDP CPU", "OPA CPU", "all CPU", "per CPU s"]
HEADINGS = [*FIGURES, "p50 /raw", "p99 /raw", "req/s /raw", "per CPU s /raw"]
SIZE_HEADINGS = [
    "people, and tools",
    "p50, 1",
    "p50, 16",
    "all CPU, 16",
    "p50, 1 /smallest",
    "first call",
    "PDP memory",
]
SIZE_HEADINGS += ["import", "store", "starts in"]
BUSY = 0.15  # share of the machine that others use, from which on a page says that it was not quiet


class Results(Struct, frozen=True):
    """The file of contracts, section 8. All rows of one list come from the same rounds."""

    machine: dict[str, Any]
    revision: str
    rows: list[Row]
    scale: Scale | None = None


def cells(row: Row, rows: list[Row]) -> list[str]:
    """Return a row of the table: figures, then ratios to what it is compared with."""
    times = [f"{microseconds / 1000:,.2f} ms" for microseconds in (row.p50_us, row.p99_us)]
    cpu = [f"{spent:,.0f} us" if spent else "" for spent in (row.pdp_cpu_us, row.opa_cpu_us, row.cpu_us)]
    figures = [row.name, str(row.connections), *times, f"{row.rps:,.0f}", *cpu, f"{row.per_cpu_s:,.0f}"]
    raw = baseline(row, rows)
    if raw is None or not raw.cpu_us or not row.cpu_us:
        return figures + [""] * (len(HEADINGS) - len(figures))
    ratios = row.p50_us / raw.p50_us, row.p99_us / raw.p99_us, row.rps / raw.rps, row.per_cpu_s / raw.per_cpu_s
    return figures + [f"{ratio:.2f}" for ratio in ratios]


def text_table(headings: list[str], lines: list[list[str]]) -> str:
    """Return a table for a terminal, a blank line where the second column changes."""
    table = [headings, *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    printed: list[str] = []
    for above, line in zip([headings, *table], table, strict=False):
        if line[1] != above[1] and headings[1] == "conns":
            printed.append("")
        padded = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        printed.append("  ".join([line[0].ljust(widths[0]), *padded]))
    return "\n".join(printed)


def rows_table(rows: list[Row]) -> list[list[str]]:
    """Return the cells of all rows."""
    return [cells(row, rows) for row in rows]


PROMISED_HEADINGS = ["promised", "conns", "bound", "measured", "kept?"]


def promised_table(rows: list[Row]) -> list[list[str]]:
    """Return each promised figure with its bound, what was measured, and whether that keeps it."""
    return [
        [
            one.promise.says,
            str(one.promise.connections),
            one.promise.bounded,
            "" if one.measured is None else one.promise.shown(one.measured),
            one.verdict,
        ]
        for one in kept(rows)
    ]


def size_table(scale: Scale) -> list[list[str]]:
    """Return a line for each size of store; ratios to the smallest."""
    lines = []
    smallest = found(f"store_{scale.sizes[0].imported.people}", 1, scale.rows)
    for size in scale.sizes:
        one, many = (found(f"store_{size.imported.people}", connections, scale.rows) for connections in (1, 16))
        assert one is not None
        assert many is not None
        assert smallest is not None
        times = [f"{row.p50_us / 1000:,.2f} ms" for row in (one, many)]
        figures = [f"{size.imported.people:,}", *times, f"{many.cpu_us:,.0f} us", f"{one.p50_us / smallest.p50_us:.2f}"]
        costs = [f"{size.first_call_us / 1000:,.1f} ms", f"{size.memory_mib:,.0f} MiB"]
        came = [f"{size.imported.seconds:,.1f} s", f"{size.imported.store_mib:,.1f} MiB", f"{size.starts_s:,.1f} s"]
        lines.append([*figures, *costs, *came])
    return lines


def flat(scale: Scale) -> str:
    """Answer whether a decision costs the same in every store."""
    worst = max(float(line[4]) for line in size_table(scale))
    answer = "yes" if worst <= FLAT else "no"
    return f"Flat? {answer}: p50 is at most {worst:.2f} times that of the smallest store (bound {FLAT})."


def document(page: str, block: str, text: str) -> str:
    """Return the page with a marked block written anew. Raises `ValueError` when its marks are not there."""
    begin, end = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the page has no block from {begin} to {end}: put the marks where the figures belong")
    return f"{before}{begin}\n{text}\n{end}{after}"


def bench_block(results: Results) -> str:
    """Return what the bench writes into the page."""
    parts = [
        provenance(results, "make bench"),
        "### Promised, and kept?",
        markdown(PROMISED_HEADINGS, promised_table(results.rows)),
        "![each row as a multiple of raw OPA](images/bench.svg)",
        "### All rows",
        markdown(HEADINGS, rows_table(results.rows)),
        meanings(results.rows),
    ]
    if results.scale:
        parts += ["### One to 100,000 people and tools", flat(results.scale)]
        parts += [markdown(SIZE_HEADINGS, size_table(results.scale)), "![by size of store](images/bench-size.svg)"]
    return "\n\n".join(parts)


def provenance(results: Results, command: str) -> str:
    """Say where and when figures come from, and whether the machine was quiet."""
    lines = [
        f"Measured at `{results.revision[:12]}` by `{command}`; the rows of a table come from the same rounds.",
        "",
    ]
    others = float(results.machine.get("others_share", 0.0))
    if others > BUSY:
        lines += [f"**This machine was not quiet**: other processes used {others:.0%} of it meanwhile.", ""]
    lines += [f"* {name}: {value}" for name, value in results.machine.items()]
    return "\n".join(lines)


def meanings(rows: list[Row]) -> str:
    """Say what each row is."""
    lines = (f"* `{name}`: {ALL[name].says}" for name in dict.fromkeys(row.name for row in rows))
    return "\n".join(lines)


def markdown(headings: list[str], lines: list[list[str]]) -> str:
    """Return a table for a page."""
    ruler = "|---|" + "---:|" * (len(headings) - 1)
    return "\n".join(["| " + " | ".join(headings) + " |", ruler, *("| " + " | ".join(line) + " |" for line in lines)])
