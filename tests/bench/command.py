"""A bench as a command: what both say of their runs, and that nothing is written of one that failed."""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pdp.errors import Fault

from . import machine, report
from .load import CHECKOUT
from .tally import WrongAnswer

FOLDER = CHECKOUT / "build" / "bench"
PAGE = CHECKOUT / "docs" / "performance.md"

Work = Callable[[argparse.Namespace, Path], Coroutine[None, None, report.Results]]
"""Carries out a run, as the options say, in a folder of its own.

Raises `WrongAnswer`, and `Fault` when a part cannot be started.
"""


@dataclass(frozen=True)
class Command:
    """One bench: its `name` begins each line of progress, `results` is the file for its figures."""

    name: str
    results: str

    def say(self, text: str) -> None:
        """Show progress, a line at a time, with or without a terminal."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def carried_out(self, work: Work, chosen: argparse.Namespace) -> report.Results:
        """Return the results of a run; ends the process with status 1 when there are none."""
        logging.basicConfig(level="ERROR")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us ends what we started
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-", dir=FOLDER) as folder:
            try:
                return asyncio.run(work(chosen, Path(folder)))
            except (WrongAnswer, Fault, RuntimeError, TimeoutError) as error:
                sys.exit(f"{self.name}: FAILED, nothing was written: {str(error) or type(error).__name__}")

    def keep(self, results: report.Results, write_page: Callable[[report.Results], None] | None) -> None:
        """Write the results, and the page with its charts if it is to be written."""
        file = FOLDER / self.results
        file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
        if write_page:
            write_page(results)
        self.say(f"wrote {file.relative_to(CHECKOUT)}" + (f" and {PAGE.name}" if write_page else ""))


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Return a command line with the options of every bench."""
    made = argparse.ArgumentParser(prog=f"python -m {prog}", description=description)
    made.add_argument("--seconds", type=float, default=1.0, help="of each row in each round (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=5, help="medians are taken over these (default: %(default)s)")
    made.add_argument("--write-docs", action="store_true", help=f"write the figures into {PAGE.name}")
    return made


@contextmanager
def described(chosen: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what a run is described by, to be added to; how it went for the machine is added at the end."""
    about, meter = machine.describe(folder), machine.Meter()
    yield about
    about["rounds"] = f"{chosen.rounds} x {chosen.seconds:g} s a row"
    about["others_share"] = round(meter.others(), 2)
    about["load_after"] = machine.load()
    if machine.uncommitted(CHECKOUT):
        about["uncommitted"] = "there were changes on top of the revision"
