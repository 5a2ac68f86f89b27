"""What the policy suites share: OPA and Regal, the pack built once, both engines that run it, a call it allows."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.engine.binary import OPA, REGAL, find, places
from pdp.engine.compiled import load
from pdp.errors import Fault
from pdp.policy.archive import read_archive
from pdp.policy.pack import Pack, build_pack, default_pack_dir
from tests.policy.engine import Asked, InProcess, running

ENGINES = ["opa", "wasm"]
ALLOWED = Path(__file__).parent / "allowed.json"


@pytest.fixture(scope="session")
def opa() -> Path:
    """Return the OPA to test with."""
    return find(OPA, places(OPA, os.environ)).path


@pytest.fixture(scope="session")
def regal() -> Path:
    """Return Regal; skips loudly where there is none."""
    try:
        return find(REGAL, places(REGAL, os.environ)).path
    except Fault as fault:
        pytest.skip(f"the pack was not linted: {fault}")


@pytest.fixture(scope="session")
def source() -> Path:
    """Return the pack that comes with the package."""
    return default_pack_dir()


@pytest.fixture(scope="session")
def pack(opa: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Return the default pack, built."""
    return build_pack(opa, source, None, tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="session")
def compiled(opa: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Return the default pack, built for the engine in process."""
    return build_pack(opa, source, None, tmp_path_factory.mktemp("compiled"), wasm=True)


@pytest.fixture(scope="session", params=ENGINES)
def asked(
    request: pytest.FixtureRequest, opa: Path, pack: Pack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asked]:
    """Return each of the two engines, running the default pack."""
    if request.param == "wasm":
        yield InProcess(load(request.getfixturevalue("compiled").bundle))
        return
    with running(opa, tmp_path_factory.mktemp("s"), "--bundle", str(pack.bundle)) as asked:
        yield asked


@pytest.fixture
def build(opa: Path, source: Path, tmp_path: Path) -> Callable[[Path], Pack]:
    """Return what builds the default pack with an org folder."""
    return lambda folder: build_pack(opa, source, folder, tmp_path / "built")


@pytest.fixture
def unpacked(pack: Pack, tmp_path: Path) -> Path:
    """Return the content of the default bundle as a folder that a test may tamper with."""
    folder = tmp_path / "unpacked"
    for name, content in read_archive(pack.bundle).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def copied(source: Path, tmp_path: Path) -> Path:
    """Return a copy of the default pack that a test may change."""
    return Path(shutil.copytree(source, tmp_path / "pack"))


@pytest.fixture
def call() -> dict[str, Any]:
    """Return a call that the default pack allows: an agent, for a person, refunds a small amount."""
    document: dict[str, Any] = json.loads(ALLOWED.read_text())
    return document
