"""What the service leaves behind: no core dump with keys in it, no file that others read, no memory to look into."""

import ctypes
import os
import resource
import sys

PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_to_ourselves() -> None:
    """Leave no core dump, make files for us alone, and (Linux) let only root read our memory and environment.

    A core dump holds every key and token of that moment and lies about in a folder, or is sent to a crash collector.
    The limit is inherited by OPA and by workers. To trace a service that misbehaves, be root.
    """
    os.umask(0o077)  # whatever is written, by a library too, and whichever mask the service was started with
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
