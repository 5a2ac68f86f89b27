"""Runs `pdp` as people do: each command a process of its own, forked from one that has imported the code already.

The imports of a command take two to three seconds of CPU on a slow machine, and the suite runs hundreds of them. What
only a fresh interpreter shows is for tests that start one: `PYTHON*` variables, whether a module imports alone
(tests/flow/test_command_line.py), and what becomes of threads that outlive the command.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pdp.cli import COMMANDS

IMPORTED = ["pytest", "pdp.app", *(f"pdp.cli.{module.partition(':')[0]}" for module in COMMANDS.values())]
PATIENCE_S = 150.0  # most tests have less; the process ends with its test
NEW = os.O_WRONLY | os.O_CREAT | os.O_APPEND
Done = subprocess.CompletedProcess[str]


def run(*arguments: str | Path, environ: Mapping[str, str], cwd: Path, typed: str = "") -> Done:
    """Run `pdp` with exactly this environment, and return what came of it. Raises `subprocess.TimeoutExpired`."""
    command = ["pdp", *map(str, arguments)]
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(IMPORTED)
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        (Path(folder) / "in").write_text(typed)
        process = forking.Process(target=_become, args=(command, dict(environ), cwd, Path(folder)))
        process.start()
        try:
            process.join(PATIENCE_S)
            if process.exitcode is None:
                raise subprocess.TimeoutExpired(command, PATIENCE_S)
        finally:
            process.kill()
            process.join()
        said = [(Path(folder) / name).read_text() for name in ("out", "err")]
        return Done(command, process.exitcode, *said)


def _become(command: list[str], environ: dict[str, str], cwd: Path, folder: Path) -> None:
    """Be `python -m pdp` from here on, to the last exit handler."""
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    for number, (name, flags) in enumerate((("in", os.O_RDONLY), ("out", NEW), ("err", NEW))):
        os.dup2(os.open(folder / name, flags, 0o600), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.argv = command
    try:
        runpy.run_module("pdp", run_name="__main__")
    finally:
        atexit._run_exitfuncs()
