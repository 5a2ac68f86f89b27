"""The wheel: it carries all that it needs, and installed where no OPA can be found it serves real decisions."""

import asyncio
import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.bench import people
from tests.bench.stage import Home, furnish
from tests.conftest import ROOT
from tests.idp import ISSUER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.promise("house.wheel_alone")]
OTHERS = {"pdp/rego/config.yaml", "pdp/rego/capabilities.json", "pdp/py.typed", "pdp/compiled/policy.tar.gz"}
LIMIT = 10_000  # what the people of the bench may refund


class Alone(NamedTuple):
    """An environment with our wheel and what it depends on, and the variables of a machine without OPA."""

    wheel: Path
    python: Path
    package: Path
    environ: dict[str, str]

    def serve(self, **more: str) -> subprocess.Popen[str]:
        """Start `pdp serve` on a free port."""
        command = [str(self.python), "-m", "pdp", "serve", "--port", "0"]
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.python.parent, env={**self.environ, **more}, **streams)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """Build the wheel and install it in a fresh environment. Its dependencies are those that this one was locked to."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "pdp.dev.wheel", folder], cwd=ROOT, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True, timeout=120)
    packages = next((folder / "venv" / "lib").glob("*/site-packages"))
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")  # below ours: `pdp` is the wheel's
    nowhere = folder / "nowhere"
    nowhere.mkdir()
    environ = {"PATH": str(nowhere), "HOME": str(nowhere), "PDP_CACHE_DIR": str(nowhere), "PDP_LOG_LEVEL": "warning"}
    return Alone(wheel, python, packages / "pdp", environ)


@contextmanager
def served(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the URL that a service says it serves on."""
    with process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline()]
            while said[-1] and not said[-1].startswith("pdp serves on "):
                said.append(process.stdout.readline())
            assert said[-1], "".join(said)
            yield said[-1].removeprefix("pdp serves on ").strip()
        finally:
            process.terminate()


def settings_of(home: Home, **more: str) -> dict[str, str]:
    """Return the settings of a service on furnished data."""
    issuers = [{"issuer": ISSUER, "jwks_file": str(home.data_dir / "jwks.json")}]
    return {"PDP_DATA_DIR": str(home.data_dir), "PDP_ISSUERS": json.dumps(issuers), **more}


def decision(url: str, home: Home, body: bytes) -> tuple[str, list[str]]:
    """Ask for a decision; return it with its reason codes."""
    headers = {"Authorization": f"Bearer {home.key}", "Content-Type": "application/json"}
    said = httpx.post(f"{url}/v1/decisions", content=body, headers=headers, timeout=20).json()
    return said["decision"], [reason["code"] for reason in said["reasons"]]


@pytest.mark.promise("house.wheel")
def test_the_wheel_carries_every_rule_and_every_module(alone: Alone) -> None:
    with zipfile.ZipFile(alone.wheel) as wheel:
        names = set(wheel.namelist())
    rules = {f"pdp/{path.relative_to(ROOT)}" for path in (ROOT / "rego").rglob("*.rego")}
    shipped = {rule for rule in rules if not rule.endswith("_test.rego") and "/.regal/" not in rule}
    tables = {f"pdp/{path.relative_to(ROOT)}" for path in (ROOT / "rego" / "cases").glob("*.yaml")}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pdp").rglob("*.py")}
    pages = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "pdp").rglob("*")
        if path.suffix in {".html", ".css", ".js", ".svg"}
    }
    assert tables
    assert pages
    drafts = {str(path.relative_to(ROOT)) for path in (ROOT / "pdp/policy/drafts").glob("*/*")}
    assert len(drafts) == 12
    assert shipped | tables | modules | pages | drafts | OTHERS <= names
    assert not any(name.endswith("_test.rego") for name in names)


def test_the_wheel_serves_an_allow_and_a_deny_where_there_is_no_opa(alone: Alone, tmp_path: Path) -> None:
    home = asyncio.run(furnish(tmp_path / "data"))
    small = people.queries(home.idp, people.WRITE)[0]
    large = json.loads(small)
    large["arguments"]["amount"] = LIMIT + 1
    with served(alone.serve(**settings_of(home, PDP_ENGINE="wasm"))) as url:
        assert decision(url, home, small) == ("allow", [])
        assert decision(url, home, json.dumps(large).encode()) == ("deny", ["permits.none"])
        assert decision(url, home, people.queries(home.idp, people.READ)[0]) == ("allow", [])


def test_there_really_is_no_opa_there(alone: Alone, tmp_path: Path) -> None:
    process = alone.serve(PDP_DATA_DIR=str(tmp_path))
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "No opa 1.22.0 or newer was found" in said


def test_with_rules_changed_after_the_build_it_does_not_start_and_says_what_to_do(alone: Alone, tmp_path: Path) -> None:
    rule = alone.package / "rego" / "guards" / "risk_ceiling.rego"
    before = rule.read_text()
    rule.write_text(before + "\n# changed\n")
    try:
        process = alone.serve(PDP_ENGINE="wasm", PDP_DATA_DIR=str(tmp_path))
        said, _ = process.communicate(timeout=60)
    finally:
        rule.write_text(before)
    assert process.returncode != 0
    assert "Only the default pack comes compiled" in said
    assert "pdp opa install" in said
    assert list((tmp_path / "policy").iterdir()) == []
