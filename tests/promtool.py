"""Prometheus' own tool says which alerts fire on series that were scraped from a service (`promtool test rules`)."""

import json
import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scrape import Series

RULES = ROOT / "docs" / "operations" / "alerts.yaml"
STEP_S, WELL_M, BROKEN_M = 15, 10, 15
TARGET = (("instance", "pdp-1"), ("job", "mcp-pdp"))


def promtool() -> Path:
    """Return where the tool is; skips loudly where there is none."""
    kept = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mcp-pdp" / "promtool"
    found = shutil.which("promtool") or (str(kept) if kept.is_file() else None)
    if found is None:
        pytest.skip(f"no promtool on PATH or at {kept}: the alerts are not tried (Debian: the package prometheus)")
    return Path(found)


def run(*arguments: str | Path) -> str:
    """Run the tool; its complaint is the failure."""
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def must_fire(
    folder: Path,
    well: Mapping[Series, float],
    broken: Mapping[Series, float],
    alerts: Collection[str],
    *,
    growing: Mapping[Series, float] | None = None,
    broken_m: int = BROKEN_M,
) -> None:
    """Check that no alert fires while all series stand as in `well`, and exactly these once they are as in `broken`.

    `growing`: by how much a series goes on to grow then, from one scrape to the next.
    """
    steps, more = WELL_M * 60 // STEP_S, broken_m * 60 // STEP_S
    series = []
    for key in sorted(well.keys() | broken.keys()):
        then = _number(broken.get(key), (growing or {}).get(key, 0))
        series.append({"series": _written(key), "values": f"{_number(well.get(key))}x{steps} {then}x{more}"})
    fired = f'group by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{broken_m}m]))'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts)]
    tried = [
        {"expr": fired, "eval_time": f"{WELL_M}m", "exp_samples": []},
        {"expr": fired, "eval_time": f"{WELL_M + broken_m}m", "exp_samples": samples},
    ]
    test = {"interval": f"{STEP_S}s", "input_series": series, "promql_expr_test": tried}
    file = folder / "alerts_test.json"  # JSON is YAML
    whole = {"rule_files": [str(RULES)], "evaluation_interval": f"{STEP_S}s", "tests": [test]}
    file.write_text(json.dumps(whole, indent=1))
    run("test", "rules", file)


def _written(series: Series) -> str:
    name, labels = series
    return name + "{" + ",".join(f"{key}={json.dumps(text)}" for key, text in (*labels, *TARGET)) + "}"


def _number(value: float | None, growth: float = 0) -> str:
    return "_" if value is None else f"{value:f}+{growth:f}"
