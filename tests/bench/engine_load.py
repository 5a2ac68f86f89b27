"""The load of `engine_client` and `wasm_engine`: our engines as the PDP uses them, so many callers at once."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.json import Decoder

from pdp.engine import VERDICT, Engine
from pdp.engine.opa import OpaClient
from pdp.engine.wasm import WasmEngine
from pdp.errors import Refused

from .answers import Effect
from .job import Target, work
from .tally import Measured, Tally, WrongAnswer

ANSWERS_WITHIN = 5.0  # seconds: a queue is measured here, not cut off

_READER = Decoder(Effect)


async def run(target: Target, callers: int, seconds: float) -> Measured:
    """Ask with so many callers at once. Raises `WrongAnswer`."""
    client = await _engine(target)
    documents = itertools.cycle(target.requests)
    tally = Tally(seconds)
    try:
        await asyncio.gather(*(_caller(client, documents, tally) for _ in range(callers)))
        return tally.measured()
    finally:
        await client.close()


async def _engine(target: Target) -> Engine:
    if target.bundle:
        return await WasmEngine.start(Path(target.bundle), target.revision)
    return OpaClient(f"unix://{target.socket}", target.revision)


async def _caller(client: Engine, documents: Iterator[bytes], tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    more = True
    while more:
        began = time.perf_counter()
        try:
            verdict = await client.evaluate(VERDICT, next(documents), loop.time() + ANSWERS_WITHIN)
        except Refused as refusal:
            raise WrongAnswer(f"{refusal.code}: {refusal.note}") from None
        if _READER.decode(verdict).effect != "allow":
            raise WrongAnswer(repr(verdict[:500]))
        more = tally.note(began)


if __name__ == "__main__":
    work(run)
