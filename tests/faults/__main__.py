"""`python -m tests.faults`: the fail-closed table, with the tests that really break each row; the counts come last.

`--prove` switches controls off, one at a time in a copy of the project, and sees their tests fail: two minutes.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Container

from . import ROWS
from .controls import CONTROLS
from .marked import marked
from .prove import CAUGHT, proofs


def main() -> int:
    """Print the table, or the proofs."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--prove", action="store_true", help="switch controls off, which their tests must catch")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only the controls of these rows (default: all)")
    chosen = parser.parse_args()
    return prove(chosen.rows or list(ROWS)) if chosen.prove else table()


def table() -> int:
    """Print each row, its tests, and what keeps it, where that is one line that `--prove` switches off."""
    tests: dict[str, list[str]] = defaultdict(list)
    for test, rows in marked().items():
        for name in rows:
            tests[name].append(test)
    controls = {control.row: control for control in CONTROLS}
    for name, row in ROWS.items():
        print(f"{name:<18}  {row.breaks} -> {row.answer}  ({row.source})")
        if name in controls:
            print(f"{'':<18}    control: {controls[name].what} ({controls[name].file})")
        for test in sorted(tests[name]):
            print(f"{'':<18}    {test}")
    bare = [name for name in ROWS if not tests[name]]
    print(f"{len(ROWS)} rows, {len(marked())} tests that break something real, {len(bare)} rows without a test")
    return 1 if bare else 0


def prove(rows: Container[str]) -> int:
    """Print how each test fares without its control."""
    controls, caught = [control for control in CONTROLS if control.row in rows], 0
    for control, outcome in proofs(controls):
        caught += outcome == CAUGHT
        print(f"{control.row:<18}  {control.what}: {outcome}", flush=True)
    print(f"{caught} of {len(controls)} caught")
    return 0 if caught == len(controls) else 1


if __name__ == "__main__":
    sys.exit(main())
