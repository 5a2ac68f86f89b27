"""Runs an OPA, prints its process id, and waits to be killed: `python keeper.py LOOP BINARY BUNDLE RUN_DIR`."""

import asyncio
import sys
from pathlib import Path

from pdp.engine.local import LocalOpa


async def keep(binary: str, bundle: str, run_dir: str) -> None:
    """Start OPA, say its process id, and wait."""
    engine = await LocalOpa.start(Path(binary), Path(bundle), "r", Path(run_dir))
    print(engine.pid, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(keep(*sys.argv[2:]))
    else:
        asyncio.run(keep(*sys.argv[2:]))
