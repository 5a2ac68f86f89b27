"""Becomes OPA on a leash: the kernel kills it when the process that started it dies, however that dies.

Run as a script, `python leash.py PARENT PROGRAM ARGUMENT...`, and replaced by PROGRAM. OPA by itself survives the
SIGKILL of its parent. `setpriv --pdeathsig` would do the same where util-linux is installed; Python always is.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ENVIRONMENT = {  # all that OPA gets to see of ours: its own OPA_* variables could change what it listens on
    "GOGC": "400",  # collecting less often takes 30 % off OPA's CPU (shared research, measured-opa)
    "GOMEMLIMIT": "512MiB",  # soft; 63 MiB were seen under load, and GOGC=400 alone would have no ceiling
}


def become(parent: int, program: str, arguments: list[str]) -> None:
    """Tie this process to `parent` (Linux; elsewhere there is no such tie) and replace it by `program`."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit("the process that wanted OPA is gone")
    try:
        os.execve(program, [program, *arguments], ENVIRONMENT)  # noqa: S606  # no shell, by design
    except OSError as error:
        sys.exit(f"{program} cannot be run: {error}")


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
