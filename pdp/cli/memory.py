"""How the process keeps its memory: the collector of cycles looks less often, malloc holds back less."""

import ctypes
import gc

YOUNG_OBJECTS = 50_000  # more than 16 decisions under way hold; a few megabytes of garbage at most
M_ARENA_MAX = -8  # malloc.h of glibc
ARENAS = 2  # a thread that waits for SQLite or the disk seldom allocates while another does


def share_arenas() -> None:
    """Let all threads allocate from two arenas of malloc, where it is glibc's; call it before there are threads.

    By default each new thread gets an arena of its own, up to eight for each core, and each keeps most of what it ever
    handed out: an hour of broken parts held as much free memory as was in use.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def spare_collections() -> None:
    """Let the collector of reference cycles pass over what is there for good, and look less often.

    A service holds far more than 100,000 objects, and each decision made the collector look at some of them once more:
    70 of 550 us of CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
