"""Takes the compiled policy out of a bundle; what this PDP cannot run is not loaded."""

import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import Fault
from ..policy.archive import MODULE, read_archive
from .abi import Program

DATA = "data.json"  # OPA's own name for it


def load(bundle: Path) -> Program:
    """Load the compiled policy of a bundle. Takes a fifth of a second: call it in a thread.

    Raises `Fault` when there is none, when it is broken, or when its rules use built-ins that only OPA itself has.
    """
    files = read_archive(bundle)
    if MODULE not in files:
        raise Fault(f"{bundle} holds no compiled rules: it was built for OPA. Remove it and start again.")
    program = Program(files[MODULE], files.get(DATA, b"{}"))
    if program.builtins:
        raise Fault(_foreign(sorted(program.builtins), files))
    return program


def _foreign(builtins: list[str], files: Mapping[str, bytes]) -> str:
    used = re.compile("|".join(rf"\b{re.escape(name)}\(" for name in builtins).encode())
    where = sorted(name for name, text in files.items() if name.endswith(".rego") and used.search(text))
    return (
        f"The policy needs {', '.join(builtins)}, which only OPA itself has. "
        f"Look at {', '.join(where) or 'its rules'}: write them without, or set PDP_ENGINE=opa."
    )
