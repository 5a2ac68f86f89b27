"""Start: an engine on a checked pack, of a kind that is chosen once and never by fallback."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..engine import Engine
from ..engine.local import LocalOpa
from ..engine.opa import OpaClient
from ..errors import Fault, Refused
from .pack import Pack, probe


@dataclass(frozen=True, kw_only=True)
class Starting:
    """How engines are started. What fails its probe leaves nothing behind.

    `opa` finds the binary; `url` is that of a sidecar, None for an OPA of our own, whose sockets live in `run_dir` and
    which tells `restarted` when another took its place.
    """

    kind: Literal["opa", "wasm"]
    url: str | None
    connections: int
    run_dir: Path
    opa: Callable[[], Path]
    restarted: Callable[[], None]

    async def start(self, pack: Pack) -> Engine:
        """Return an engine that runs this pack. Raises `Fault` saying what to do."""
        if self.kind == "wasm":
            return await self._wasm(pack)
        return await self._local(pack) if self.url is None else await self._sidecar(pack, self.url)

    async def _wasm(self, pack: Pack) -> Engine:
        """Load the compiled policy into this process."""
        from ..engine.wasm import WasmEngine  # half of a service's start-up time, for those who ask for it

        async with AsyncExitStack() as undo:
            engine = await WasmEngine.start(pack.bundle, pack.revision)
            undo.push_async_callback(engine.close)
            await _must_pass(engine, pack)
            undo.pop_all()
        return engine

    async def _local(self, pack: Pack) -> Engine:
        """Start an OPA of our own. It dies with the thread that starts it: the main thread."""
        place = self.opa(), pack.bundle, pack.revision, self.run_dir
        async with AsyncExitStack() as undo:
            engine = await LocalOpa.start(*place, connections=self.connections, restarted=self.restarted)
            undo.push_async_callback(engine.close)
            await _must_pass(engine, pack)
            undo.pop_all()
        return engine

    async def _sidecar(self, pack: Pack, url: str) -> Engine:
        """Return a client of the sidecar. One that is away leaves us not ready, not down.

        A sidecar may come up later and is then known by the revision of its policy alone; so that policy is probed
        here, in an OPA of our own that lives as long as the probe.
        """
        await (await self._local(pack)).close()
        return OpaClient(url, pack.revision, connections=self.connections)


async def _must_pass(engine: Engine, pack: Pack) -> None:
    """Probe the policy before it may answer. Raises `Fault`."""
    try:
        await probe(engine, pack)
    except Refused as refusal:
        raise Fault(f"The engine does not answer the activation probe ({refusal.code}: {refusal.note}).") from refusal
