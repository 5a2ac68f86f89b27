"""Both engines say the same, on a small run of what `make agree` does at length; and a difference would be found."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pdp.engine import Engine
from pdp.engine.local import LocalOpa
from pdp.engine.wasm import WasmEngine
from pdp.policy.pack import Pack, build_pack
from tests.agree.compare import compare
from tests.conftest import ROOT

pytestmark = pytest.mark.promise("engine.agree")
SEED, INPUTS = 20261125, 450
CONFIG = "guards:\n  risk_ceiling: {write: 20}\n"


@pytest.fixture
async def local(opa: Path, pack: Pack, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await LocalOpa.start(opa, pack.bundle, pack.revision, tmp_path / "run")
    yield engine
    await engine.close()


async def test_the_engines_agree_on_inputs_of_every_kind(local: Engine, compiled: Pack) -> None:
    wasm = await WasmEngine.start(compiled.bundle, compiled.revision)
    findings = await compare(local, wasm, SEED, INPUTS)
    await wasm.close()
    assert findings.differences == []
    assert findings.inputs == INPUTS
    assert dict(findings.kinds) == {"valid": INPUTS // 3, "mutated": INPUTS // 3, "confused": INPUTS // 3}
    assert {"allow", "deny", "needs_approval"} <= set(findings.said)


async def test_a_number_that_differs_in_one_policy_is_found(
    local: Engine, opa: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "config.yaml").write_text(CONFIG)
    changed = build_pack(opa, source, tmp_path / "org", tmp_path / "built", wasm=True)
    wasm = await WasmEngine.start(changed.bundle, changed.revision)
    findings = await compare(local, wasm, SEED, INPUTS)
    await wasm.close()
    assert findings.differences
    assert "risk_ceiling" in str(findings.differences[0])


@pytest.mark.slow
@pytest.mark.parametrize(("extra", "status", "says"), [([], 0, ", 0 differences (seed 7)"), (["org"], 1, "(seed 7)")])
def test_the_command_counts_and_judges(extra: list[str], status: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = ["--inputs", "300", "--seed", "7", *(["--compiled-org", str(tmp_path)] if extra else [])]
    command = [sys.executable, "-m", "tests.agree", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=55)
    assert done.returncode == status, done.stderr
    assert done.stdout.splitlines()[-1].endswith(says)
    assert done.stdout.startswith("pdp/decision/" if extra else "inputs: 100 confused")
