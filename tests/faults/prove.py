"""Shows that a fault test fails when its control is switched off: in a copy of the project, one control at a time.

Before that the same test must pass in the same copy; one that is skipped here proves nothing and is said so.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import ROOT

from .controls import Control

FOLDERS = ("pdp", "rego", "tests")
AT_ONCE = 2  # tests wait for processes and disks half of their time
STALLED_S = 60  # a test without its control may wait for good
CAUGHT = "caught"


def switched_off(control: Control, text: str) -> str:
    """Return the source with the control switched off. Raises `AssertionError` unless it stands there once."""
    assert text.count(control.old) == 1, f"{control.file}: {control.old!r} stands there {text.count(control.old)} times"
    return text.replace(control.old, control.new)


def proofs(controls: Sequence[Control]) -> Iterator[tuple[Control, str]]:
    """Try controls, some at a time; yields how its test fared without each, in order, as it is known."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from zip(controls, threads.map(_tried, controls), strict=True)


def _tried(control: Control) -> str:
    with tempfile.TemporaryDirectory(prefix="without-") as folder:
        copy = _copied(Path(folder) / "project")
        with_it = _outcome(copy, control.test)
        if with_it != "passed":
            return f"NOT TRIED: {with_it} with its control"
        source = copy / control.file
        source.write_text(switched_off(control, source.read_text()))
        without = _outcome(copy, control.test)
        return CAUGHT if without == "failed" else f"NOT CAUGHT: {without} without its control"


def _copied(place: Path) -> Path:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", place)
    return place


def _outcome(copy: Path, test: str) -> str:
    """Run one test there; return `passed`, `failed`, or whatever else became of it."""
    command = [sys.executable, "-m", "pytest", "-rA", "--timeout", str(STALLED_S), "-p", "no:cacheprovider", test]
    environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, check=False)
    outcomes = set(re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) (?:tests/|\[)", done.stdout, re.MULTILINE))
    if done.returncode == 1 and "FAILED" in outcomes and "ERROR" not in outcomes:
        return "failed"
    return "passed" if outcomes == {"PASSED"} and done.returncode == 0 else f"{sorted(outcomes)}, {done.returncode}"
