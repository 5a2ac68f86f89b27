"""A stock OPA beside the PDP, which takes its policy from the PDP's bundle endpoint and nowhere else."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pdp.engine.binary import OPA, find, places

LONG_POLL_S = 10


def configured(folder: Path, url: str, key: str) -> Path:
    """Write OPA's configuration: where bundles come from, and the key that opens the door."""
    polling = {"long_polling_timeout_seconds": LONG_POLL_S, "min_delay_seconds": 1, "max_delay_seconds": 1}
    config = {
        "services": {"pdp": {"url": url, "credentials": {"bearer": {"token": key}}}},
        "bundles": {"pdp": {"service": "pdp", "resource": "v1/policy/bundle", "polling": polling}},
    }
    file = folder / "opa.json"
    file.write_text(json.dumps(config))
    return file


@asynccontextmanager
async def sidecar(folder: Path, url: str, key: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run OPA on the unix socket `s` in `folder`, polling the PDP at `url`."""
    command = [str(find(OPA, places(OPA, os.environ)).path), "run", "--server", "--addr", f"unix://{folder}/s"]
    quiet = ["--log-level", "error", "--skip-version-check", "--config-file", str(configured(folder, url, key))]
    process = await asyncio.create_subprocess_exec(*command, *quiet, env={"GOGC": "400", "GOMEMLIMIT": "384MiB"})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
