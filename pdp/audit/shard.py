"""Shard: the files of one log directory, and the only right to append to them.

A directory holds segments named after the index of their first entry, and a lock. Everything here blocks; one thread
at a time works with a shard. What fails, fails as `OSError`, and then nothing is written until `reopen` succeeded.
"""

import errno
import fcntl
import mmap
import os
import secrets
from pathlib import Path
from typing import Any

from ..errors import Fault
from .entry import NOTHING_BEFORE, Head, digest_of, successor

SEGMENT_BYTES = 64 * 1024 * 1024  # about 30,000 decisions: small enough to copy, large enough to be few
LOCK = "lock"

Repair = dict[str, Any]
"""The body of a `log.recovered` record: how much was cut off, or how many entries are gone."""


class Shard:
    """One log directory, open for appending. `head` says where the next entry goes, `repair` what had to be mended."""

    def __init__(self, directory: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take the directory, creating it when absent. Raises `Fault` when another process has it or it is damaged.

        `segment_bytes`: a segment this large is followed by another.
        """
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._fd: int | None = None
        self._size = self._synced = 0
        self._doubtful = False
        self.repair: Repair | None = None
        try:
            _make(directory)
            self._lock = _lock(directory)
            self._start()
        except OSError as error:
            raise Fault(f"The log {directory} cannot be opened: {error.strerror}. Check PDP_DATA_DIR.") from None

    def append(self, data: bytes, head: Head) -> None:
        """Write whole lines; `head` is where the chain stands after them. Raises `OSError`."""
        if self._size >= self._segment_bytes:
            self.sync()
            self._begin_segment()
        _write_all(self._open_fd(), data)
        self._check_still_ours(self._size + len(data))
        self._size += len(data)
        self.head = head

    def sync(self) -> None:
        """Return when everything appended is on the disk. Raises `OSError`."""
        self._doubtful = True  # until it succeeded
        os.fdatasync(self._open_fd())
        self._doubtful = False
        self._synced = self._size

    def abandon(self) -> None:
        """Stop writing after an error; only `reopen` makes the shard usable again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def reopen(self) -> None:
        """Go on after an error, from what really is in the files. Raises `OSError` or `Fault` when still broken."""
        self.abandon()
        self.repair = None
        self._keep_lock()
        written, path, size, synced = self.head, self._path, self._size, self._synced
        found = self._attach()
        if self._fd is not None and (found == written or _goes_on(path, size, written, found)):
            self.head = found  # lines that were written but never acknowledged stay: nothing is taken back
            self._bring_to_disk(synced if self._path == path else 0)
            return
        self.repair = {"reason": "entries_missing", "acknowledged": written.index, "found": found.index}
        self._begin_segment()

    def close(self) -> None:
        """Bring everything to the disk and let go of the directory. Raises `OSError`."""
        try:
            if self._fd is not None:
                self.sync()
        finally:
            self.abandon()
            os.close(self._lock)

    def _start(self) -> None:
        try:
            self.head = self._attach()
            if self._fd is None:
                self._begin_segment()
        except (OSError, Fault):
            self.abandon()
            os.close(self._lock)
            raise

    def _attach(self) -> Head:
        paths = segments(self._directory)
        if not paths:
            return self._first_head()
        self._adopt(paths[-1], os.open(paths[-1], os.O_RDWR | os.O_APPEND))
        self._cut_torn_tail()
        for path in reversed(paths):
            line = last_line(path)
            if line is not None:
                return _head_after(line, path, paths[-1])
        return self._first_head()

    def _first_head(self) -> Head:
        return Head(f"pdp-{secrets.token_hex(4)}/{self._directory.name}", 0, NOTHING_BEFORE)

    def _begin_segment(self) -> None:
        self.abandon()
        path = self._directory / segment_name(self.head.index)
        self._adopt(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600))
        _sync_folder(self._directory)

    def _adopt(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd
        status = os.fstat(fd)
        self._inode, self._size, self._synced = status.st_ino, status.st_size, 0

    def _open_fd(self) -> int:
        if self._fd is None:
            raise OSError(errno.EBADF, "the log is not open")
        return self._fd

    def _cut_torn_tail(self) -> None:
        line_ends = _last_newline(self._path) + 1
        if line_ends < self._size:
            cut = self._size - line_ends
            self.repair = {"reason": "torn_tail", "segment": self._path.name, "cut_bytes": cut}
            os.ftruncate(self._open_fd(), line_ends)
            os.fsync(self._open_fd())
            self._size = line_ends

    def _check_still_ours(self, size: int) -> None:
        status = self._path.stat()  # a removed file raises here
        if (status.st_ino, status.st_size) != (self._inode, size):
            raise OSError(errno.ESTALE, f"{self._path} was replaced or changed by somebody else")

    def _bring_to_disk(self, synced: int) -> None:
        if self._doubtful:
            # After a failed sync the kernel may call pages clean that never reached the disk: make them dirty again.
            fd = os.open(self._path, os.O_RDWR)
            try:
                os.pwrite(fd, os.pread(fd, self._size - synced, synced), synced)
            finally:
                os.close(fd)
        self.sync()

    def _keep_lock(self) -> None:
        path = self._directory / LOCK
        if path.exists() and path.stat().st_ino == os.fstat(self._lock).st_ino:
            return
        taken = _lock(self._directory)
        os.close(self._lock)
        self._lock = taken


def segments(directory: Path) -> list[Path]:
    """Return the segments of a log directory, oldest first; none when there is no such directory."""
    return sorted(directory.glob("[0-9]" * 16 + ".jsonl"))


def segment_name(index: int) -> str:
    """Return the name of the segment whose first entry has this index; names sort like indexes."""
    return f"{index:016d}.jsonl"


def last_line(path: Path, size: int | None = None) -> bytes | None:
    """Return the last whole line of a file, or of its first `size` bytes, without its newline; `None` without one."""
    end = _last_newline(path, size)
    if end < 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view[view.rfind(b"\n", 0, end) + 1 : end]


def _last_newline(path: Path, size: int | None = None) -> int:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return -1
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.rfind(b"\n", 0, len(view) if size is None else size)


def _goes_on(path: Path, size: int, written: Head, found: Head) -> bool:
    """Say whether the file still holds what was acknowledged, and more after it."""
    if found.index <= written.index or not path.exists() or path.stat().st_size < size:
        return False
    line = last_line(path, size)
    return line is None or digest_of(line) == written.digest


def _head_after(line: bytes, path: Path, last: Path) -> Head:
    try:
        head = successor(line)[1]
    except ValueError:
        raise Fault(f"{path} is damaged: its last line is no record. {_WHAT_NOW}") from None
    if path != last and last.name != segment_name(head.index):
        raise Fault(f"Entries are missing before {last}: {path.name} ends at {head.index - 1}. {_WHAT_NOW}")
    return head


_WHAT_NOW = "Run `pdp log verify`, keep the directory as evidence, and move it aside to start a new log."


def _make(directory: Path) -> None:
    for folder in (directory.parent, directory):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(folder.parent)


def _lock(directory: Path) -> int:
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Fault(f"Another process writes the log {directory}: stop it, or give this one its own.") from None
    return fd


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
