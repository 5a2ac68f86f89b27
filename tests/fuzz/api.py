"""The whole HTTP face against what its OpenAPI description says: schemathesis asks, as an adapter and as an approver.

Every documented operation gets what fits its schema and what does not. An answer must be of a documented status, kind
and schema, never a 5xx but the documented 503, and none without a key. Two checks are left out where they ask for what
a schema cannot say: `positive_data_acceptance` (exactly one of two members), and for a batch `negative_data_rejection`,
because a bad item of it gets a problem of its own and does not spoil the others.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from tests.api.test_approvals import AUDIENCE, PEOPLE, SUBJECTS
from tests.flow.test_approvals import asked, know
from tests.raw import Door, listening
from tests.service import Bench, add_pep, calm, running

SCOPES = ["audit", "decide", "signals", "identity", "registry", "policy", "approvals"]
PATIENT_S = 60.0  # a request of schemathesis may wait for its turn on a loaded machine
COUNTED = re.compile(r"(\d+) generated")
CONFIG = """
warnings = false
[checks]
positive_data_acceptance.enabled = false
[[operations]]
include-name = "POST /v1/decisions/batch"
checks.negative_data_rejection.enabled = false
"""
KNOWN = """
[[operations]]
include-path = "{path}"
parameters = {{ id = "{id}" }}
"""


class Conformed(NamedTuple):
    """What schemathesis did: how many cases, and all it said, if it found something."""

    cases: int
    wrong: str


async def conform(folder: Path, *flags: str) -> Conformed:
    """Ask a service in `folder` everything, once with a key of every scope and once with an approver's token."""
    async with running(folder / "data", org_dir=calm(folder / "org"), rate_per_second=1_000_000.0) as bench:
        await know(bench, PEOPLE)
        key = await add_pep(bench.settings, bench.clock, servers=("*",), scopes=SCOPES)
        await bench.service.peps.poll()
        config = await _config(folder, bench)
        token = bench.token(sub=SUBJECTS["dave"], aud=AUDIENCE)
        async with listening(bench, within_s=PATIENT_S, taken_within_s=PATIENT_S) as door:
            first = await _asked(door, config, key, *flags)
            second = await _asked(door, config, token, *flags, "--include-path-regex", "^/v1/approvals")
    return Conformed(first.cases + second.cases, first.wrong + second.wrong)


async def _config(folder: Path, bench: Bench) -> Path:
    """Name a decision and a request that are there, so that their routes are asked about something."""
    decision, request = (await bench.ask())["id"], await asked(bench)
    await bench.service.projected()
    of_decisions = [KNOWN.format(path=f"/v1/decisions/{{id}}{rest}", id=decision) for rest in ("", "/outcome")]
    of_requests = [KNOWN.format(path=f"/v1/approvals/{{id}}{rest}", id=request) for rest in ("", "/votes")]
    config = folder / "schemathesis.toml"
    config.write_text("".join([CONFIG, *of_decisions, *of_requests]))
    return config


async def _asked(door: Door, config: Path, credential: str, *flags: str) -> Conformed:
    tool = str(Path(sys.executable).with_name("st"))
    where = [f"http://127.0.0.1:{door.port}/openapi.json", "-H", f"Authorization: Bearer {credential}"]
    given = [
        "--no-color",
        "--config-file",
        str(config),
        "run",
        *where,
        "--continue-on-failure",
        *flags,
    ]
    process = await asyncio.create_subprocess_exec(
        tool,
        *given,
        cwd=config.parent,
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = (await process.stdout.read()).decode()
    failed = await process.wait() != 0
    counted = COUNTED.search(said)
    if counted is None:
        raise RuntimeError(f"schemathesis broke off:\n{said}")
    return Conformed(int(counted[1]), said if failed else "")
