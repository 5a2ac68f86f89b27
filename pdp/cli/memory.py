"""How the process keeps its memory: the collector of cycles looks less often, malloc holds back less."""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from ..recurring import Recurring

YOUNG_OBJECTS = 50_000  # more than 16 decisions under way hold; a few megabytes of garbage at most
M_ARENA_MAX = -8  # malloc.h of glibc
ARENAS = 2  # a thread that waits for SQLite or the disk seldom allocates while another does
GIVEN_BACK_EVERY_S = 30.0  # it takes milliseconds, of a thread of its own


def share_arenas() -> None:
    """Let all threads allocate from two arenas of malloc, where it is glibc's; call it before there are threads.

    By default each new thread gets an arena of its own, up to eight for each core, and each keeps most of what it ever
    handed out: an hour of broken parts held as much free memory as was in use.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give what malloc keeps free back to the kernel, where it is glibc's.

    By itself it returns only what lies behind the last block in use, and what a burst of calls held stays for good.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@asynccontextmanager
async def giving_back() -> AsyncIterator[None]:
    """Give free memory back now and then, as long as the context lasts."""
    giving = Recurring("giving free memory back", partial(asyncio.to_thread, give_back), GIVEN_BACK_EVERY_S)
    giving.start(at_once=False)
    try:
        yield
    finally:
        await giving.close()


def spare_collections() -> None:
    """Let the collector of reference cycles pass over what is there for good, and look less often.

    A service holds far more than 100,000 objects, and each decision made the collector look at some of them once more:
    70 of 550 us of CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
