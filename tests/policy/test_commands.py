"""`pdp policy` as an operator runs it."""

from pathlib import Path

import pytest

from pdp.policy.pack import Pack
from tests.policy.command import pdp

pytestmark = pytest.mark.promise("policy.commands")


def test_build_writes_the_bundle_that_the_pdp_itself_would_load(pack: Pack, tmp_path: Path) -> None:
    done = pdp("policy", "build", "--output", "mine.tar.gz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pack.revision in done.stdout
    assert (tmp_path / "mine.tar.gz").read_bytes() == pack.bundle.read_bytes()


def test_schema_prints_what_the_pack_carries(source: Path, tmp_path: Path) -> None:
    assert pdp("policy", "schema", cwd=tmp_path).stdout == (source / "schemas/input.json").read_text()


def test_every_command_says_in_one_whole_line_what_it_is_for(tmp_path: Path) -> None:
    said = pdp("--help", cwd=tmp_path, COLUMNS="80").stdout.partition("Commands:\n")[2]
    lines = said.splitlines()
    assert {"check", "try", "policy", "serve"} <= {line.split()[0] for line in lines}
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []
