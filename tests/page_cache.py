"""Asks the kernel which pages of a file are not on the disk yet (cachestat, Linux 6.5)."""

import ctypes
import os
from pathlib import Path

import pytest

CACHESTAT = 451  # the number of the system call, the same on every architecture


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))


class _Pages(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("cached", "dirty", "writeback", "evicted", "recent"))


def unwritten_pages(path: Path) -> int:
    """Return how many pages of the file a power cut would lose; skips loudly where the kernel cannot tell."""
    pages = _Pages()
    fd = os.open(path, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.syscall(CACHESTAT, fd, ctypes.byref(_Range(0, 0)), ctypes.byref(pages), 0)
    finally:
        os.close(fd)
    if failed:
        pytest.skip(f"durability was not seen by the kernel: cachestat says {os.strerror(ctypes.get_errno())}")
    return int(pages.dirty + pages.writeback)
