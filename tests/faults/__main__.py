"""`python -m tests.faults`: the fail-closed table, with the tests that really break each row; the counts come last."""

import sys
from collections import defaultdict

from . import ROWS
from .marked import marked


def main() -> int:
    """Print the table."""
    tests: dict[str, list[str]] = defaultdict(list)
    for test, rows in marked().items():
        for name in rows:
            tests[name].append(test)
    for name, row in ROWS.items():
        print(f"{name:<18}  {row.breaks} -> {row.answer}  ({row.source})")
        for test in sorted(tests[name]):
            print(f"{'':<18}    {test}")
    bare = [name for name in ROWS if not tests[name]]
    print(f"{len(ROWS)} rows, {len(marked())} tests that break something real, {len(bare)} rows without a test")
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(main())
