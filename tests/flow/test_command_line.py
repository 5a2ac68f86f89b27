"""The command line in a fresh interpreter: other tests fork from a process that has imported all commands."""

import subprocess
import sys

import pytest

from pdp.cli import COMMANDS
from tests.conftest import ROOT

ONE_A_MODULE = {module: name for name, module in COMMANDS.items()}


@pytest.mark.slow
@pytest.mark.promise("cli.alone")
@pytest.mark.parametrize("name", ONE_A_MODULE.values())
def test_each_command_imports_all_that_it_needs(name: str) -> None:
    command = [sys.executable, "-m", "pdp", name, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: pdp {name} ")
