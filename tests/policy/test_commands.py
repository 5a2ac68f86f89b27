"""`pdp policy` as an operator runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pdp.policy.pack import Pack
from tests.policy.rules import org

pytestmark = pytest.mark.promise("policy.commands")


def pdp(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `pdp policy` in a process of its own."""
    command = [sys.executable, "-m", "pdp", "policy", *arguments]
    environ = os.environ | environment
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)


def test_check_probes_the_pack_and_says_its_revision(pack: Pack, tmp_path: Path) -> None:
    done = pdp("check", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"revision": pack.revision, "rules": sorted(pack.rules)}
    assert list(tmp_path.iterdir()) == []


def test_check_refuses_an_org_rule_with_its_file_its_line_and_what_to_do(tmp_path: Path) -> None:
    folder = org(tmp_path, "guards", "holds if input.risk.score < 80")
    done = pdp("check", cwd=tmp_path, PDP_ORG_DIR=str(folder))
    assert done.returncode == 1
    assert "org/guards/mine.rego:13: `lt` is not in the safe form. Use number.at_most" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_refuses_a_rule_that_holds_on_nothing(tmp_path: Path) -> None:
    done = pdp("check", cwd=tmp_path, PDP_ORG_DIR=str(org(tmp_path, "guards", "holds := true")))
    assert done.returncode == 1
    assert "org/guards/mine.rego: On an empty input this rule holds" in done.stderr


def test_build_writes_the_bundle_that_the_pdp_itself_would_load(pack: Pack, tmp_path: Path) -> None:
    done = pdp("build", "--output", "mine.tar.gz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pack.revision in done.stdout
    assert (tmp_path / "mine.tar.gz").read_bytes() == pack.bundle.read_bytes()


def test_schema_prints_what_the_pack_carries(source: Path, tmp_path: Path) -> None:
    assert pdp("schema", cwd=tmp_path).stdout == (source / "schemas/input.json").read_text()
