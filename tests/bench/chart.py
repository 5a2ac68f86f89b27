"""The chart of a run: three small panels of bars over the same rows, each as a multiple of raw OPA in that run."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .promised import baseline
from .rows import Row, found

MARGIN, LABELS, PANEL, GAP = 16, 190, 185, 62  # pixels; the gap takes the figure behind the longest bar
TOP, STEP, THICK, FOOT = 82, 26, 17, 28


class Panel(NamedTuple):
    """One panel: what it shows of rows at so many connections, as a multiple of what they are compared with."""

    says: str
    better: str
    connections: int
    of: Callable[[Row, Row], float]


PANELS = [
    Panel("p50, 1 connection", "x raw OPA, less is better", 1, lambda row, raw: row.p50_us / raw.p50_us),
    Panel("decisions/s, 16 connections", "x raw OPA, more is better", 16, lambda row, raw: row.rps / raw.rps),
    Panel(
        "decisions a CPU second, 16 conn.",
        "x raw OPA, more is better; all counted",
        16,
        lambda row, raw: row.per_cpu_s / raw.per_cpu_s,
    ),
]


def svg(title: str, names: list[str], rows: list[Row], says: Callable[[str], str] = str) -> str:
    """Return an SVG of these rows; one that was not measured at a panel's number of connections has no bar there."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    bottom = TOP + STEP * len(names)
    return environment.get_template("chart.svg.jinja").render(
        title=title,
        width=MARGIN + LABELS + len(PANELS) * (PANEL + GAP),
        height=bottom + FOOT,
        margin=MARGIN,
        top=TOP,
        bottom=bottom - STEP + THICK + 6,
        thick=THICK,
        labels=[{"says": says(name), "y": TOP + STEP * at} for at, name in enumerate(names)],
        panels=[_panel(panel, at, names, rows) for at, panel in enumerate(PANELS)],
    )


def _panel(panel: Panel, at: int, names: list[str], rows: list[Row]) -> dict[str, object]:
    ratios = [_ratio(panel, name, rows) for name in names]
    scale = PANEL / max(1.0, *(ratio for ratio in ratios if ratio is not None), 1.0)
    left = MARGIN + LABELS + at * (PANEL + GAP)
    bars = [
        {"y": TOP + STEP * number, "width": round(ratio * scale, 1), "value": f"{ratio:.2f}"}
        for number, ratio in enumerate(ratios)
        if ratio is not None
    ]
    return {"says": panel.says, "better": panel.better, "left": left, "raw": round(left + scale, 1), "bars": bars}


def _ratio(panel: Panel, name: str, rows: list[Row]) -> float | None:
    row = found(name, panel.connections, rows)
    raw = baseline(row, rows) if row else None
    return panel.of(row, raw) if row and raw and row.cpu_us and raw.cpu_us else None
