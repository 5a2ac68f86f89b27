"""A secret key of our own in a file: made once, whole or not at all, and readable by nobody else."""

import os
import secrets
import stat
from pathlib import Path

from .errors import Fault

KEY_BYTES = 32


def kept_key(path: Path, name: str) -> bytes:
    """Return the key in `path`, making it (0600) the first time; `name` says which it is. Raises `Fault`."""
    try:
        if not path.exists():
            _make(path)
        return _read(path, name)
    except OSError as error:
        raise Fault(f"The {name} {path} cannot be used: {error.strerror}. Check PDP_DATA_DIR.") from None


def private_lines(path: Path, name: str) -> list[str]:
    """Return the lines of a file of secrets that an operator wrote, without empty ones and comments. Raises `Fault`."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Fault(f"Others may read the {name} {path}: run chmod 600 on it, and replace what is in it.")
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"The {name} {path} cannot be read ({type(error).__name__}): check the path.") from None
    return [line for line in lines if line and not line.startswith("#")]


def _read(path: Path, name: str) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Fault(f"Others may read the {name} {path}: run chmod 600 on it, and consider its values known.")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise Fault(f"The {name} {path} is not {KEY_BYTES} bytes: restore it, or move it aside to get a new one.")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secrets.token_bytes(KEY_BYTES))
        os.fsync(fd)
        path.hardlink_to(draft)  # whole or not at all, and the first of several workers wins
    except FileExistsError:
        pass
    finally:
        os.close(fd)
        draft.unlink()
