"""Reads the compiled policy out of a bundle made by `opa build -t wasm`; what this PDP cannot run is not loaded."""

import re
import tarfile
from pathlib import Path

from ..errors import Fault
from .abi import Program

MODULE, DATA = "policy.wasm", "data.json"  # as OPA names them
MAX_FILE_BYTES = 32 * 1024 * 1024  # of one file in the bundle; a module takes 0.4 MB


def load(bundle: Path) -> Program:
    """Load the compiled policy of a bundle. Takes a fifth of a second: call it in a thread.

    Raises `Fault` when there is none, when it is broken, or when its rules use built-ins that only OPA itself has.
    """
    files = _files(bundle)
    if MODULE not in files:
        raise Fault(f"{bundle} holds no compiled policy: build it with `pdp policy build --wasm`.")
    program = Program(files[MODULE], files.get(DATA, b"{}"))
    if program.builtins:
        raise Fault(_foreign(sorted(program.builtins), files))
    return program


def _files(bundle: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(bundle) as archive:
            members = [member for member in archive if member.isfile() and member.size <= MAX_FILE_BYTES]
            opened = {member.name.lstrip("/"): archive.extractfile(member) for member in members}
            return {name: file.read() for name, file in opened.items() if file is not None}
    except (OSError, EOFError, tarfile.TarError) as error:
        raise Fault(f"{bundle} cannot be read ({error}): build it anew with `pdp policy build --wasm`.") from None


def _foreign(builtins: list[str], files: dict[str, bytes]) -> str:
    used = re.compile("|".join(rf"\b{re.escape(name)}\(" for name in builtins).encode())
    where = sorted(name for name, text in files.items() if name.endswith(".rego") and used.search(text))
    return (
        f"The policy needs {', '.join(builtins)}, which only OPA itself has. "
        f"Look at {', '.join(where) or 'its rules'}: write them without, or set PDP_ENGINE=opa."
    )
