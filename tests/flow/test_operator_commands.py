"""`pdp keys` and `pdp why`, run as an operator runs them: a process, its files, an exit status."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from tests.commands import Done, run
from tests.service import running


def pdp(folder: Path, *arguments: str, **environ: str) -> Done:
    """Run `pdp` on a data directory."""
    return run(*arguments, environ={**os.environ, "PDP_DATA_DIR": str(folder), **environ}, cwd=folder)


@pytest.mark.promise("cli.keys")
def test_a_key_goes_into_a_new_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "pep.key"
    made = pdp(tmp_path, "keys", "create", "--server", "payments", "--out", str(file))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in made.stdout
    assert json.loads(pdp(tmp_path, "keys", "list", "--json").stdout)[0]["servers"] == ["payments"]


@pytest.mark.promise("cli.keys")
def test_a_key_that_cannot_be_handed_over_is_not_made(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    for target in (there, tmp_path / "nowhere" / "key"):
        refused = pdp(tmp_path, "keys", "create", "--server", "payments", "--out", str(target))
        assert refused.returncode != 0
        assert str(target) in refused.stderr
        assert "Traceback" not in refused.stderr
    assert there.read_text() == "mine"
    assert json.loads(pdp(tmp_path, "keys", "list", "--json").stdout) == []


@pytest.mark.promise("cli.keys")
def test_no_file_is_left_of_a_key_that_could_not_be_stored(tmp_path: Path) -> None:
    file, blocked = tmp_path / "pep.key", tmp_path / "a file"
    blocked.touch()
    url = f"sqlite+aiosqlite:///{blocked}/pdp.db"
    refused = pdp(tmp_path, "keys", "create", "--server", "x", "--out", str(file), PDP_DATABASE_URL=url)
    assert refused.returncode != 0
    assert not file.exists()


@pytest.mark.promise("cli.why")
async def test_a_decision_is_explained_without_the_bundle_and_without_control_characters(tmp_path: Path) -> None:
    async with running(tmp_path) as bench:
        known = await bench.ask("delete_customer", {"customer": "c-1"})
        wild = bench.query()
        wild["tool"]["name"] = "x\x1b[2J\u202ey"
        strange = (await bench.post("/v1/decisions", wild)).json()
    entries = [json.loads(pdp(tmp_path, "why", known["id"], "--json").stdout)]
    assert "gates.destructive" in entries[0]["rules"]
    for bundle in (tmp_path / "policy").glob("*.tar.gz"):
        bundle.unlink()
    shown = pdp(tmp_path, "why", known["id"])
    assert shown.returncode == 0, shown.stderr
    assert "NEEDS_APPROVAL" in shown.stdout
    assert "restore its bundle" in shown.stdout
    assert re.search(r"\d\.\d\d  use\.first since 2026-01-05T10:00:00Z, says pdp", shown.stdout)
    assert "not known: auth_time" in shown.stdout
    odd = pdp(tmp_path, "why", strange["id"])
    assert odd.returncode == 0, odd.stderr
    assert "tool.unknown" in odd.stdout
    assert not {"\x1b", "\u202e"} & set(odd.stdout)
