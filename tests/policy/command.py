"""Runs `pdp` as people do: a process of its own, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path


def pdp(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `pdp` with an environment that names no org folder but the one that is given."""
    environ = {name: value for name, value in os.environ.items() if name != "PDP_ORG_DIR"} | environment
    command = [sys.executable, "-m", "pdp", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
