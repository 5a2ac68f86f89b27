"""A service that serves a signed policy: what it starts on, and what it will not go back to."""

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Fault
from pdp.policy.archive import read_archive
from pdp.policy.keys import read_signing_key
from pdp.policy.pack import Pack, PackRefused, build_pack, default_pack_dir
from pdp.policy.sign import sign
from tests.conftest import ROOT, START, FakeClock
from tests.policy.conftest import opa  # noqa: F401  # a fixture
from tests.policy.rules import org
from tests.policy.signing import MAKE, private_key, public_key, saved
from tests.service import running

pytestmark = pytest.mark.promise("policy.newest")


class Office:
    """Where policies are built and signed."""

    def __init__(self, folder: Path, opa: Path) -> None:  # noqa: F811
        key = MAKE["ed"]()
        private_key(folder / "release.pem", key)
        self.keys = public_key(folder / "keys" / "release.pem", key).parent
        self.strict = build_pack(opa, default_pack_dir(), org(folder, "gates", 'open if "x" == "y"'), folder / "built")
        self.plain = build_pack(opa, default_pack_dir(), None, folder / "built")
        self.bundle = folder / "policy.tar.gz"

    def put(self, pack: Pack, minute: int) -> dict[str, Any]:
        """Sign a policy and put it where the service finds it; returns the settings."""
        key = read_signing_key(self.keys.parent / "release.pem")
        saved(self.bundle, sign(read_archive(pack.bundle), key, START + timedelta(minutes=minute)))
        return {"policy_bundle": self.bundle, "policy_keys": self.keys}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Return the office, with two policies built."""
    from pdp.engine.binary import OPA, find, places

    return Office(tmp_path_factory.mktemp("office"), find(OPA, places(OPA, os.environ)).path)


@pytest.fixture
def later() -> FakeClock:
    """Return a clock that is past every signature."""
    return FakeClock(START + timedelta(hours=1))


async def test_an_old_signed_policy_is_not_served_again_even_after_a_restart(
    office: Office, later: FakeClock, tmp_path: Path
) -> None:
    async with running(tmp_path, later, **office.put(office.plain, 1)) as bench:
        assert (await bench.ask())["decision"] == "allow"
    replay = tmp_path / "replay.tar.gz"
    shutil.copy(office.bundle, replay)
    for _ in range(2):
        async with running(tmp_path, later, **office.put(office.strict, 2)) as bench:
            assert (await bench.ask())["decision"] == "needs_approval"
    shutil.copy(replay, office.bundle)
    with pytest.raises(PackRefused, match="signed 2026-01-05T10:01:00Z by release, and a newer one"):
        async with running(tmp_path, later, policy_bundle=office.bundle, policy_keys=office.keys):
            pass
    async with running(tmp_path, later, **office.put(office.plain, 3)) as bench:
        assert (await bench.ask())["decision"] == "allow"


async def test_another_replica_with_a_data_directory_of_its_own_remembers_too(
    office: Office, later: FakeClock, tmp_path: Path
) -> None:
    store = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"}
    async with running(tmp_path / "a", later, **store, **office.put(office.strict, 2)):
        pass
    with pytest.raises(PackRefused, match="a newer one"):
        async with running(tmp_path / "b", later, **store, **office.put(office.plain, 1)):
            pass
    with pytest.raises(PackRefused, match="as was another one"):
        async with running(tmp_path / "b", later, **store, **office.put(office.plain, 2)):
            pass


@pytest.mark.promise("policy.signed")
async def test_with_keys_a_service_starts_on_nothing_but_a_signed_bundle(office: Office, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="only a signed bundle is loaded"):
        async with running(tmp_path, policy_keys=office.keys):
            pass
    with pytest.raises(PackRefused, match="It is not signed"):
        async with running(tmp_path, policy_bundle=office.plain.bundle, policy_keys=office.keys):
            pass
    with pytest.raises(PackRefused, match="which is not yet"):
        async with running(tmp_path, **office.put(office.plain, 2)):
            pass


def steps() -> list[str]:
    """Return the shell commands of the guide, block by block."""
    blocks = (ROOT / "docs" / "policy-signing.md").read_text().split("```sh\n")[1:]
    return [block.partition("```")[0] for block in blocks]


@pytest.mark.promise("policy.signed")
def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    org(tmp_path, "guards", "holds if input.tool.name")
    program = tmp_path / "bin" / "pdp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pdp "$@"\n')
    program.chmod(0o755)
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    make, build, serve = steps()
    place: dict[str, Any] = {"cwd": tmp_path, "env": environ, "text": True}
    done = subprocess.run(
        ["sh", "-e", "-c", make + build], **place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout
    assert stat.S_IMODE((tmp_path / "release.pem").stat().st_mode) == 0o600
    revision, key, _ = done.stdout.splitlines()[-1].split("  ")
    assert key == "release"
    served = ["sh", "-e", "-c", serve.replace("pdp serve", "exec pdp serve --port 0")]
    with subprocess.Popen(served, **place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout
        assert any("pdp serves on" in line for line in process.stdout), "the service ended before it served"
        process.terminate()
    (bundle,) = (tmp_path / "var" / "pdp" / "policy").glob("*.signed.tar.gz")
    assert bundle.name.startswith(revision.removeprefix("sha256:"))


@pytest.mark.promise("policy.commands")
def test_a_signed_build_names_its_key_and_verify_agrees(tmp_path: Path) -> None:
    key = MAKE["ec"]()
    private_key(tmp_path / "a.pem", key)
    public_key(tmp_path / "keys" / "b.pem", key)
    environ = {**os.environ, "PDP_POLICY_KEYS": str(tmp_path / "keys"), "PYTHONPATH": str(ROOT)}

    def pdp(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pdp", "policy", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    made = pdp("build", "--sign", "a.pem", "--key-id", "b", "--json")
    assert made.returncode == 0, made.stderr
    said = pdp("verify", "policy.tar.gz", "--json")
    assert json.loads(said.stdout).items() >= {"revision": json.loads(made.stdout)["revision"], "key_id": "b"}.items()
    environ.pop("PDP_POLICY_KEYS")
    assert "PDP_POLICY_KEYS is not set" in pdp("verify", "policy.tar.gz").stderr
    (tmp_path / "a.pem").chmod(0o644)
    refused = pdp("build", "--sign", "a.pem", "--output", "other.tar.gz")
    assert refused.returncode == 1
    assert "chmod 600" in refused.stderr
    assert not (tmp_path / "other.tar.gz").exists()
