"""Threads allocate from few arenas of malloc, which is asked how many it has, and what it keeps free is given back."""

import os
import subprocess
import sys

import pytest

from pdp.cli.memory import ARENAS

pytestmark = [
    pytest.mark.promise("serve.memory"),
    pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="arenas are glibc's"),
]

THREADS = 12
SCRIPT = f"""
import ctypes, threading
from pdp.cli.memory import share_arenas
{{share}}
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
all_there = threading.Barrier({THREADS})
def allocate():
    all_there.wait()
    for _ in range(100):
        libc.malloc(ctypes.c_size_t(50_000))
    all_there.wait()
threads = [threading.Thread(target=allocate) for _ in range({THREADS})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
out = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, out)
libc.fclose(out)
"""


def arenas(share: str) -> int:
    command = [sys.executable, "-c", SCRIPT.replace("{share}", share)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return told.count("<heap nr=")


FREED = """
import ctypes
from pdp.cli.memory import give_back
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def held_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
blocks = [libc.malloc(50_000) for _ in range(2000)]
for block in blocks:
    ctypes.memset(block, 1, 50_000)
for block in blocks[:-1]:  # the last is in use, and lies behind all others
    libc.free(block)
before = held_mb()
give_back()
print(before, held_mb())
"""


def test_memory_that_is_free_again_is_given_back_though_some_behind_it_is_in_use() -> None:
    told = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=60)
    before, after = map(float, told.stdout.split())
    assert before - after > 50, "of a hundred megabytes that were free"


def test_a_dozen_threads_that_allocate_at_once_share_two_arenas() -> None:
    assert arenas("share_arenas()") == ARENAS
    assert arenas("") > ARENAS, "each has its own unless told"
