"""`python -m tests.mutants [FILE ...]`: mutate the pack, run its own tests on each mutant, print the score.

Exit status 1 below 95 % killed.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from pdp.engine.binary import OPA, find, places
from pdp.policy.pack import build_pack, default_pack_dir
from pdp.policy.sources import FOLDERS, SHARED

from .mutate import mutants
from .report import LEAST, Score, read_equivalents
from .trial import Trials

EVERY_S = 10.0  # between two lines of progress where there is no terminal


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="such as guards/token_scope.rego (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time (default: %(default)s)")
    return parser.parse_args()


def policy_files(source: Path) -> list[str]:
    """Return every policy file that is no test."""
    found = (file for name in (*SHARED, *FOLDERS) for file in sorted((source / name).glob("*.rego")))
    return [str(file.relative_to(source)) for file in found if not file.name.endswith("_test.rego")]


def run(files: list[str], jobs: int) -> Score:
    """Try every mutant of the files, with progress on stderr."""
    opa = find(OPA, places(OPA, os.environ)).path
    score = Score(read_equivalents())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(shutil.copytree(default_pack_dir(), Path(folder) / "pack"))  # who edits meanwhile changes nothing
        made = [mutant for file in files for mutant in mutants(opa, source, file)]
        trials = Trials(opa, source, build_pack(opa, source, None, Path(folder)), jobs)
        with trials.ready():
            shown = 0.0
            for number, outcome in enumerate(trials.run(made), 1):
                score.count(outcome)
                if time.monotonic() > shown + (0.1 if sys.stderr.isatty() else EVERY_S):
                    shown = time.monotonic()
                    say(f"{number} of {len(made)} mutants, {len(score.survivors)} survived, {outcome.mutant.file}")
    return score


def say(progress: str) -> None:
    """Show how far it is: on one line of a terminal, else line by line."""
    begin, end = ("\r", "") if sys.stderr.isatty() else ("", "\n")
    print(f"{begin}{progress:<100}", end=end, file=sys.stderr)


def main() -> int:
    """Run and report."""
    chosen = options()
    files = chosen.files or policy_files(default_pack_dir())
    started = time.monotonic()
    score = run(files, chosen.jobs)
    print(f"\n{len(files)} files in {time.monotonic() - started:.0f} s")
    print("\n".join(score.lines(files)))
    return 0 if score.percent >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
