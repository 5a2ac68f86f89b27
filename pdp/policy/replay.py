"""Replay: one policy, in an engine of its own, asked about inputs that were decided before, or might have been."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..decide import Reply, read_reply
from ..engine import VERDICT, Engine
from ..engine.local import LocalOpa
from ..errors import Fault, Refused
from .pack import Pack

WITHIN_S = 10.0  # for one answer, which takes a millisecond: nobody waits for it, but a machine may be loaded


class Judge:
    """Answers policy inputs by one pack, as strictly read as in a decision; the same input is asked once."""

    def __init__(self, pack: Pack, engine: Engine) -> None:
        self.pack = pack
        self.asked = 0
        self._engine = engine
        self._known: dict[bytes, asyncio.Task[Reply]] = {}

    async def judge(self, document: bytes) -> Reply:
        """Return the verdict on one input, as JSON. Raises `Fault` when the engine gives none that can be read."""
        if document not in self._known:
            self.asked += 1
            self._known[document] = asyncio.create_task(self._ask(document))
        return await self._known[document]

    async def _ask(self, document: bytes) -> Reply:
        deadline = asyncio.get_running_loop().time() + WITHIN_S
        try:
            return read_reply(await self._engine.evaluate(VERDICT, document, deadline), self.pack)
        except Refused as refusal:
            what = f"The policy {self.pack.revision} gave no verdict ({refusal.code}: {refusal.note})"
            raise Fault(f"{what}: repeat when the machine is less busy, and see `pdp opa path`.") from None


@asynccontextmanager
async def judging(pack: Pack, opa: Path) -> AsyncIterator[Judge]:
    """Run `pack` in an OPA of its own, on the main thread, and yield what answers by it. Raises `Fault`."""
    with tempfile.TemporaryDirectory(prefix="pdp-") as folder:
        engine = await LocalOpa.start(opa, pack.bundle, pack.revision, Path(folder))
        try:
            yield Judge(pack, engine)
        finally:
            await engine.close()
