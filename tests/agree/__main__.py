"""`python -m tests.agree`: OPA and the compiled policy on thousands of inputs. Exit status 1 when they differ."""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import randbelow

from pdp.engine.binary import OPA, find, places
from pdp.engine.local import LocalOpa
from pdp.engine.wasm import WasmEngine
from pdp.errors import Fault
from pdp.policy.pack import build_pack, default_pack_dir

from .compare import Findings, comparing

SAY_EVERY = 2000  # inputs
SHOWN = 5  # differences that are printed in full


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.agree", description="Compare both engines.")
    parser.add_argument("--inputs", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=randbelow(10**9), help="to repeat a run (default: any)")
    parser.add_argument("--policy", type=Path, default=default_pack_dir(), help="the pack (default: the package's)")
    parser.add_argument("--org", type=Path, help="rules and values beside it")
    parser.add_argument("--compiled-org", type=Path, help="others for the compiled policy: shows what a difference is")
    return parser.parse_args()


async def agree(chosen: argparse.Namespace, folder: Path) -> Findings:
    """Start both engines on the same rules and compare them, showing progress. Raises `Fault`."""
    opa = find(OPA, places(OPA, os.environ)).path
    pack = build_pack(opa, chosen.policy, chosen.org, folder)
    other = build_pack(opa, chosen.policy, chosen.compiled_org or chosen.org, folder / "compiled", wasm=True)
    async with AsyncExitStack() as stack:
        local = await LocalOpa.start(opa, pack.bundle, pack.revision, folder / "run")
        stack.push_async_callback(local.close)
        compiled = await WasmEngine.start(other.bundle, other.revision)
        stack.push_async_callback(compiled.close)
        return await _watched(chosen, local, compiled)


async def _watched(chosen: argparse.Namespace, local: LocalOpa, compiled: WasmEngine) -> Findings:
    findings, began = Findings(), time.monotonic()
    async for _ in comparing(local, compiled, chosen.seed, chosen.inputs, findings):
        if findings.inputs % SAY_EVERY == 0 or findings.inputs == chosen.inputs:
            say(
                f"{findings.inputs:,} inputs, {time.monotonic() - began:.0f} s, {len(findings.differences)} differences"
            )
    return findings


def say(text: str) -> None:
    """Show progress, a line at a time, with or without a terminal."""
    print(f"agree: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Compare, print, judge."""
    chosen = options()
    say(f"seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        try:
            findings = asyncio.run(agree(chosen, Path(folder)))
        except Fault as fault:
            sys.exit(f"agree: FAILED: {fault}")
    for difference in findings.differences[:SHOWN]:
        print(difference)
    print("inputs: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(findings.kinds.items())))
    print("OPA said: " + ", ".join(f"{count:,} {answer}" for answer, count in findings.said.most_common()))
    total = f"{findings.inputs:,} inputs, {findings.answers:,} answers, {len(findings.differences)} differences"
    print(f"{total} (seed {chosen.seed})")
    sys.exit(1 if findings.differences else 0)


if __name__ == "__main__":
    main()
