"""A real OPA, a small policy for it, the three ways an engine reaches it, and the same policy compiled."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from pdp.engine import Engine
from pdp.engine.binary import OPA, find, places
from pdp.engine.local import LocalOpa
from pdp.engine.opa import OpaClient
from pdp.engine.wasm import WasmEngine
from pdp.errors import Refused
from tests.policy.engine import compile_rules

from .stores import postgres_url, url  # noqa: F401  # fixtures of the store suites
from .website import Website, serving

CONNECTIONS = 2
REVISION = "sha256:for-tests"
POLICY = """
package pdp.decision

verdict := {"echo": input.id}

conflict := 1 if input.id
conflict := 2 if input.id

# a hundred million turns: seconds of work that needs no memory
slow if {
	never := input.never
	many := numbers.range(1, 10000)
	some i in many
	some _ in many
	i == never
}

# a hundred million pairs: more memory than a policy may have
hungry := count({[i, j] | some i in numbers.range(1, 10000); some j in numbers.range(1, 10000)}) if input.never

large := [concat(" ", ["one of many answers for", input.id]) | some i in numbers.range(1, 100000)]
"""
ENTRYPOINTS = ["verdict", "conflict", "slow", "hungry", "large"]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the suites of engines and lines on uvloop, as the service does, and on asyncio's own loop, as commands do.

    The suite of our own child waits for real time, so it runs on uvloop only; its contract runs on both.
    """
    if not item.path.name.startswith(("test_engine", "test_listener", "test_acceptor", "test_tls")):
        return {"asyncio": asyncio.new_event_loop}
    loops = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": loops["uvloop"]} if item.path.name == "test_engine_local.py" else loops


@dataclass
class Running:
    """An engine and the process it evaluates in: that of the OPA behind it, or ours."""

    engine: Engine
    pid: Callable[[], int]

    def send(self, what: signal.Signals) -> None:
        """Send a signal to that OPA."""
        os.kill(self.pid(), what)


@pytest.fixture(scope="session")
def opa_binary() -> Path:
    """Return the OPA that `pdp opa path` prints; without one the suite fails and says how to get it."""
    return find(OPA, places(OPA, os.environ)).path


@pytest.fixture(scope="session")
def echo_bundle(opa_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a policy that echoes `input.id`, and answers badly where asked to."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "policy").mkdir()
    (folder / "policy" / "decision.rego").write_text(POLICY)
    bundle = folder / "bundle.tar.gz"
    subprocess.run([opa_binary, "build", "-b", folder / "policy", "-o", bundle], check=True)
    return bundle


@pytest.fixture(scope="session")
def echo_compiled(opa_binary: Path, echo_bundle: Path) -> Path:
    """Build the same policy as a wasm module."""
    entrypoints = [f"pdp/decision/{name}" for name in ENTRYPOINTS]
    return compile_rules(opa_binary, echo_bundle.parent / "policy", entrypoints, echo_bundle.with_name("wasm.tar.gz"))


@pytest.fixture
def website() -> Iterator[Website]:
    """Return a web server on loopback with no pages yet."""
    with serving() as site:
        yield site


@pytest.fixture(params=["tcp", "unix", "local", "wasm"])
async def running(
    request: pytest.FixtureRequest, opa_binary: Path, echo_bundle: Path, tmp_path: Path
) -> AsyncIterator[Running]:
    """Return an engine on each way of reaching OPA: loopback TCP, a unix socket, our own child; and without OPA."""
    async with AsyncExitStack() as parts:
        if request.param == "wasm":
            compiled = request.getfixturevalue("echo_compiled")
            wasm = await WasmEngine.start(compiled, REVISION, threads=CONNECTIONS)
            parts.push_async_callback(wasm.close)
            yield Running(wasm, os.getpid)
            return
        if request.param == "local":
            local = await LocalOpa.start(opa_binary, echo_bundle, REVISION, tmp_path / "run", connections=CONNECTIONS)
            parts.push_async_callback(local.close)
            yield Running(local, lambda: local.pid or 0)
            return
        listen = f"127.0.0.1:{free_port()}" if request.param == "tcp" else f"unix://{tmp_path}/opa.sock"
        process = await parts.enter_async_context(server(opa_binary, echo_bundle, listen))
        client = OpaClient(url_of(listen), REVISION, connections=CONNECTIONS)
        parts.push_async_callback(client.close)
        await ready(client)
        yield Running(client, lambda: process.pid)


@asynccontextmanager
async def server(binary: Path, bundle: Path, listen: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run OPA as an operator would, next to us."""
    quiet = "--log-level", "error", "--skip-version-check"
    process = await asyncio.create_subprocess_exec(binary, "run", "--server", "-a", listen, *quiet, "-b", bundle)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ready(client: OpaClient) -> None:
    """Wait until OPA is well, for at most ten seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while True:
        try:
            return await client.ping(deadline)
        except Refused:
            assert loop.time() < deadline, "OPA did not become ready"
            await asyncio.sleep(0.01)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def url_of(listen: str) -> str:
    """Return the PDP_OPA_URL for an address OPA listens on."""
    return listen if listen.startswith("unix:") else f"http://{listen}"
