"""`python -m tests.fuzz`: each target for its share of the time. Exit status 1 with findings, which are in build/."""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from secrets import randbelow

TARGETS = ("body", "token", "engine")
SAY_EVERY_S = 10.0
LARGEST = 8192  # bytes of an input: deep and odd enough, and fast
STATE = re.compile(r"^#(\d+)\t.*?cov: (\d+) ft: \d+ corp: (\d+)/")
DONE = re.compile(r"^stat::number_of_executed_units:\s*(\d+)")


@dataclass
class Run:
    """What a target has done so far; `covered` counts the branches that were seen."""

    target: str
    executions: int = 0
    covered: int = 0
    corpus: int = 0
    findings: int = 0

    def __str__(self) -> str:
        said = f"{self.target} {self.executions:,} executions, {self.covered} branches, corpus {self.corpus}"
        return f"{said}, {self.findings} findings"

    def read(self, line: str) -> None:
        """Learn from a line of libFuzzer's."""
        if state := STATE.match(line):
            self.executions, self.covered, self.corpus = (int(number) for number in state.groups())
        elif done := DONE.match(line):
            self.executions = int(done[1])
        elif line.startswith("FOUND "):
            self.findings += 1
            say(line.strip())


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads hostile input.")
    parser.add_argument("--minutes", type=float, default=10.0, help="in all (default: %(default)s)")
    parser.add_argument("--runs", type=int, help="executions a target, instead of a time")
    parser.add_argument("--seed", type=int, default=1 + randbelow(10**9), help="to repeat a run (default: any)")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for findings and the corpus")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)} (default: all)")
    return parser.parse_args()


def fuzz(target: str, chosen: argparse.Namespace, seconds: float) -> Run:
    """Run one target to its end, saying now and then how far it is. Raises `SystemExit` when it breaks."""
    run, said, tail = Run(target), time.monotonic(), [""]
    bound = f"-runs={chosen.runs}" if chosen.runs else f"-max_total_time={seconds:.0f}"
    flags = [bound, f"-seed={chosen.seed}", f"-max_len={LARGEST}", "-timeout=20", "-rss_limit_mb=2048"]
    command = [sys.executable, "-m", "tests.fuzz.child", target, str(chosen.out), *flags]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            tail = [*tail[-30:], line]
            run.read(line)
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                say(str(run))
    if process.returncode or not run.executions:
        sys.exit(f"fuzz: {target} broke off ({process.returncode}); its last words:\n{''.join(tail)}")
    return run


def say(text: str) -> None:
    """Show progress, a line at a time, with or without a terminal."""
    print(f"fuzz: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Fuzz each target, print, judge."""
    chosen = options()
    say(f"seed {chosen.seed}")
    runs = [fuzz(target, chosen, chosen.minutes * 60 / len(chosen.targets)) for target in chosen.targets]
    found = sum(run.findings for run in runs)
    if found:
        print(f"what was found is in {chosen.out}: mend it, and move the file to tests/fuzz/found as a regression test")
    print("; ".join(str(run) for run in runs) + f" (seed {chosen.seed})")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
