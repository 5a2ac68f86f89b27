"""Runs `pdp` in a folder of its own."""

import os
from pathlib import Path

from tests.commands import Done, run


def pdp(*arguments: str | Path, cwd: Path, **environment: str) -> Done:
    """Run `pdp` with an environment that names no org folder but the one that is given."""
    environ = {name: value for name, value in os.environ.items() if name != "PDP_ORG_DIR"} | environment
    return run(*arguments, environ=environ, cwd=cwd)
