"""Regal on an org folder: our rules and its own, with the pack's configuration, over the pack as it would be loaded."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import Fault
from .problem import Problem

WITHIN_S = 60  # 0.5 s are usual
GRAVE = {"pdp", "bugs"}  # categories that are problems: our rules, and what cannot mean what it says; others are style
FORMAT = "opa-fmt"  # said by `opa fmt` already


class Linted(NamedTuple):
    """What Regal found: what must be changed, and what should."""

    problems: list[Problem]
    hints: list[Problem]


def lint(regal: Path, settings: Path, folder: Path, names: dict[str, str]) -> Linted:
    """Lint the files of `names` (place in `folder` -> what authors call it) with the `.regal` folder `settings`.

    All of `folder` is read, so that what rules import is there. Raises `Fault` when Regal cannot be run.
    """
    shutil.copytree(settings, folder / ".regal", dirs_exist_ok=True)
    command = [str(regal), "lint", "--format", "json", "."]
    try:
        done = subprocess.run(
            command, cwd=folder, env={}, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
        violations = json.loads(done.stdout)["violations"]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Fault(f"{regal} could not be run ({error}): see `pdp opa path --regal`.") from None
    except (ValueError, KeyError):
        raise Fault(f"{regal} lint failed: {done.stderr.strip() or done.stdout[:500]}") from None
    ours = [item for item in violations if item["location"]["file"] in names and item["title"] != FORMAT]
    return Linted(
        [_problem(item, names) for item in ours if item["category"] in GRAVE],
        [_problem(item, names) for item in ours if item["category"] not in GRAVE],
    )


def _problem(violation: dict[str, Any], names: dict[str, str]) -> Problem:
    where = violation["location"]
    read = [resource["ref"] for resource in violation.get("related_resources") or []]
    what = f"{violation['description'].rstrip('.')} (Regal: {violation['category']}/{violation['title']})."
    return Problem(names[where["file"]], where["row"], what, f"See {read[0]}" if read else "Write it so.")
