"""Memory, open files and threads of the PDP and its OPA over time: do they grow?

The slope is that of least squares over what was sampled after the warm-up. Each OPA that ran is a line of its own, and
all of them share one slope: that a new one starts small says nothing about growth.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

WARM_UP = 1 / 3  # of the run: caches and the list of recent decisions (50,000) fill
LIFE_WARMS_S = 30.0  # of each OPA: its heap grows to what GOGC=400 lets it be
JUDGED_S = 120.0  # observed for less, a slope is mostly noise: it is printed and not judged
GROWTH = 0.05  # of its size, in the time observed: more is growth, less is what allocators keep for themselves
GROWTH_MB = 8.0  # and never less than this: the caches that fill as new callers and calls come hold as much
MORE_FILES, MORE_THREADS = 16, 4  # connections of clients come and go; nothing else opens files, or starts threads


class Sample(Struct, frozen=True):
    """One look at one process. `at`: seconds since the run began; `pss_mb`: its own memory and its share of shared."""

    at: float
    part: str
    pid: int
    pss_mb: float
    files: int
    threads: int


class Trend(Struct, frozen=True):
    """What became of one part. `grown` says what clearly grew; empty when nothing did, or it was not judged."""

    part: str
    observed_s: float
    mb_per_hour: float
    mean_mb: float
    grown: str


def look(at: float, part: str, pid: int) -> Sample | None:
    """Sample a process; None when it is gone."""
    place = Path(f"/proc/{pid}")
    try:
        rollup = (place / "smaps_rollup").read_text()
        files = sum(1 for _ in (place / "fd").iterdir())
        threads = sum(1 for _ in (place / "task").iterdir())
    except OSError:
        return None
    pss_kb = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return Sample(at, part, pid, pss_kb / 1024, files, threads)


def trend(part: str, samples: Iterable[Sample], ran_s: float) -> Trend:
    """Judge what was sampled of one part in a run of so many seconds."""
    lives: dict[int, list[Sample]] = defaultdict(list)
    born: dict[int, float] = {}
    for sample in samples:
        if sample.part != part:
            continue
        warm = max(WARM_UP * ran_s, born.setdefault(sample.pid, sample.at) + LIFE_WARMS_S)
        if sample.at >= warm:
            lives[sample.pid].append(sample)
    lives = {pid: life for pid, life in lives.items() if len(life) > 1}
    if not lives:
        return Trend(part, 0.0, 0.0, 0.0, "")
    observed = max(life[-1].at - life[0].at for life in lives.values())
    per_s, mean = _slope(lives), statistics.mean(sample.pss_mb for life in lives.values() for sample in life)
    longest = max(lives.values(), key=lambda life: life[-1].at - life[0].at)
    grown = [] if observed < JUDGED_S else _grown(longest, per_s * observed, mean)
    return Trend(part, observed, per_s * 3600, mean, ", ".join(grown))


def _slope(lives: dict[int, list[Sample]]) -> float:
    above = below = 0.0
    for life in lives.values():
        at, size = statistics.mean(s.at for s in life), statistics.mean(s.pss_mb for s in life)
        above += sum((s.at - at) * (s.pss_mb - size) for s in life)
        below += sum((s.at - at) ** 2 for s in life)
    return above / below if below else 0.0


def _grown(life: list[Sample], grown_mb: float, mean_mb: float) -> list[str]:
    quarter = max(1, len(life) // 4)
    first, last = life[:quarter], life[-quarter:]
    files = min(s.files for s in last) - min(s.files for s in first)  # what a leak raises is the floor
    threads = min(s.threads for s in last) - min(s.threads for s in first)
    found = [f"memory by {grown_mb:.1f} MB"] if grown_mb > max(GROWTH * mean_mb, GROWTH_MB) else []
    found += [f"open files by {files}"] if files > MORE_FILES else []
    return found + ([f"threads by {threads}"] if threads > MORE_THREADS else [])


def drawing(samples: list[Sample], width: int = 720, height: int = 160) -> str:
    """Return the memory of every part over time as an SVG: one line a process."""
    longest, most = max(s.at for s in samples) or 1.0, max(s.pss_mb for s in samples) * 1.1
    colours = {"pdp": "#06c", "opa": "#c60"}
    lives: dict[tuple[str, int], list[str]] = defaultdict(list)
    for s in samples:
        point = f"{s.at / longest * width:.1f},{height - s.pss_mb / most * height:.1f}"
        lives[s.part, s.pid].append(point)
    lines = [
        f'<polyline fill="none" stroke="{colours[part]}" points="{" ".join(points)}"/>'
        for (part, _), points in lives.items()
    ]
    legend = f"PSS of the PDP (blue) and of each OPA (orange), 0 to {most:.0f} MB, {longest / 60:.1f} minutes"
    text = f'<text x="4" y="14" font-size="12" font-family="sans-serif">{legend}</text>'
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{text}{"".join(lines)}</svg>\n'
