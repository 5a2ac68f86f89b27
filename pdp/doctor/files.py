"""Files: does anybody else read what only the service should?"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from .finding import Finding, fail, ok, warn

OTHERS = 0o077
NAMED = 5  # files that one line names


def data_directory(data_dir: Path, user: int) -> list[Finding]:
    """Check that everything in the data directory belongs to `user` (a uid), who alone reads it."""
    if not data_dir.is_dir():
        return [warn("files", f"{data_dir} does not exist", "Start `pdp serve` once, or correct PDP_DATA_DIR.")]
    open_to_others, foreign = [], []
    for path, status in _walk(data_dir):
        if stat.S_IMODE(status.st_mode) & OTHERS and not _shut_in(path, data_dir):
            open_to_others.append(path)
        if status.st_uid != user:
            foreign.append(path)
    found = []
    if open_to_others:
        advice = f"Run chmod -R go= {data_dir}, and take keys and records in them for known."
        found.append(fail("files", f"others may read {_names(open_to_others)}", advice))
    if foreign:
        advice = f"Run chown -R of {data_dir} to the user of the service, or this as that user."
        found.append(fail("files", f"{_names(foreign)} belong to another user than this one", advice))
    if not found and stat.S_IMODE(data_dir.stat().st_mode) & OTHERS:
        found.append(warn("files", f"others may list {data_dir}", f"Run chmod 700 {data_dir}."))
    return found or [ok("files", f"only the service reads what is in {data_dir}")]


def secret_files(named: Iterable[Path]) -> list[Finding]:
    """Check files of secrets that settings name: there, and nobody else's to read."""
    found = []
    for path in named:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            found.append(fail("files", f"{path} cannot be read ({error.strerror})", "Correct the setting of it."))
            continue
        if mode & OTHERS:
            found.append(fail("files", f"others may read {path}", f"Run chmod 600 {path}, and replace what is in it."))
        else:
            found.append(ok("files", f"only its owner reads {path}"))
    return found


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            try:
                yield path, path.lstat()
            except FileNotFoundError:  # the service goes on working
                continue


def _shut_in(path: Path, data_dir: Path) -> bool:
    """Say whether a folder above keeps others out, whatever the mode of the file itself."""
    return any(
        not stat.S_IMODE(parent.stat().st_mode) & OTHERS
        for parent in path.parents
        if parent == data_dir or data_dir in parent.parents
    )


def _names(paths: list[Path]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(map(str, paths[:NAMED])) + more
