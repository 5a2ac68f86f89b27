"""A service that serves a signed policy: what it starts on, and what it will not go back to."""

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.audit.entry import Entry, read_entry
from pdp.audit.read import Reader
from pdp.engine.binary import OPA, find, places
from pdp.errors import Fault
from pdp.policy.archive import read_archive, write_archive
from pdp.policy.change import Change
from pdp.policy.keys import read_signing_key
from pdp.policy.notice import Cause
from pdp.policy.pack import Pack, PackRefused, build_pack, default_pack_dir
from pdp.policy.sign import sign
from pdp.times import system_clock
from tests.conftest import ROOT, START, FakeClock
from tests.flow.test_operator_commands import pdp
from tests.policy.engine import Asked
from tests.policy.engine import running as running_opa
from tests.policy.rules import PROBED, org
from tests.policy.signing import MAKE, private_key, public_key, saved
from tests.service import Bench, add_pep, running

pytestmark = pytest.mark.promise("policy.newest")
PATIENCE_S = 20.0


class Office:
    """Where policies are built and signed."""

    def __init__(self, folder: Path) -> None:
        self.opa = opa = find(OPA, places(OPA, os.environ)).path
        key = MAKE["ec"]()
        private_key(folder / "release.pem", key)
        self.keys = public_key(folder / "keys" / "release.pem", key).parent
        self.strict = build_pack(opa, default_pack_dir(), org(folder, "gates", PROBED["gates"]), folder / "built")
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
    return Office(tmp_path_factory.mktemp("office"))


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


@pytest.mark.slow
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


def entries_of(bench: Bench, kind: str) -> list[Entry]:
    """Return the records of a kind."""
    entries = [read_entry(line) for line in Reader(bench.settings.data_dir / "log" / "0").lines()]
    return [entry for entry in entries if entry.kind == kind]


async def in_force(bench: Bench, pack: Pack) -> None:
    """Wait, bounded, until a policy is in force."""
    async with asyncio.timeout(PATIENCE_S):
        while bench.service.world.policy.active.pack.revision != pack.revision:  # noqa: ASYNC110  # as a caller sees it
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.promise("policy.signed")
async def test_a_newer_signed_policy_replaces_the_one_in_force_and_an_older_or_edited_one_does_not(
    office: Office, later: FakeClock, tmp_path: Path
) -> None:
    async with running(tmp_path, later, **office.put(office.plain, 1)) as bench:
        replay = office.bundle.read_bytes()
        office.put(office.strict, 2)
        await in_force(bench, office.strict)
        renewal = bench.service.renewal
        for content, says in (
            (replay, "and a newer one"),
            (office.plain.bundle.read_bytes(), "It is not signed"),
            (write_archive(read_archive(office.bundle) | {"lib/x.rego": b"package lib.x\n"}), "It was added after"),
        ):
            office.bundle.write_bytes(content)
            with pytest.raises(PackRefused, match=says):
                await renewal.renew(Cause("api"))
            assert renewal.notices.rejection
            assert says in str(renewal.notices.rejection.problems[0])
            assert (await bench.ask())["revisions"]["policy"] == office.strict.revision
        office.put(office.plain, 3)
        await in_force(bench, office.plain)
        said = [entry.body.get("signed") for entry in entries_of(bench, "policy.activated")]
        assert [signed["issued_at"][14:16] for signed in said] == ["01", "02", "03"]
        assert len(entries_of(bench, "policy.rejected")) >= 3


@pytest.mark.slow
async def test_a_policy_that_was_signed_anew_is_as_new_as_its_signature(
    office: Office, later: FakeClock, tmp_path: Path
) -> None:
    async with running(tmp_path, later, **office.put(office.plain, 1)) as bench:
        bench.http.headers["Authorization"] = f"Bearer {await add_pep(bench.settings, bench.clock, scopes=['policy'])}"
        await bench.service.peps.poll()
        office.put(office.plain, 3)
        assert await bench.service.renewal.renew(Cause("api")) == Change()
        shown = (await bench.http.get("/v1/policy")).json()
        assert shown["signed"]["issued_at"] == "2026-01-05T10:03:00Z"
        served = await bench.http.get("/v1/policy/bundle")
        assert served.content == office.bundle.read_bytes(), "a sidecar may by now know the new key alone"
        office.put(office.strict, 2)
        with pytest.raises(PackRefused, match="and a newer one"):
            await bench.service.renewal.renew(Cause("api"))


@pytest.mark.slow
async def test_a_policy_that_fails_on_its_way_leaves_no_trace(
    office: Office,
    later: FakeClock,
    tmp_path: Path,
) -> None:
    lenient = build_pack(office.opa, default_pack_dir(), org(tmp_path, "guards", "holds := true"), tmp_path / "built")
    async with running(tmp_path / "data", later, **office.put(office.plain, 1)) as bench:
        office.put(lenient, 3)
        with pytest.raises(PackRefused, match="On an empty input this rule holds"):
            await bench.service.renewal.renew(Cause("api"))
        office.put(office.strict, 2)
        await in_force(bench, office.strict)


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[str]:
    """Run `pdp serve` with settings and yield its URL."""
    environ = {**os.environ, "PDP_DATA_DIR": str(data_dir), **settings}
    command = [sys.executable, "-m", "pdp", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        line = next((line for line in process.stdout if "pdp serves on" in line), "")
        try:
            assert line, "the service ended before it served"
            yield line.rpartition(" ")[2].strip()
        finally:
            process.terminate()


def outcome_in(asked: Asked) -> str | None:
    """Return what became of the bundle in a sidecar: the revision it runs, or why it runs none; None before."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(asked.socket)), base_url="http://opa") as http:
        status = http.get("/v1/status").json().get("result", {}).get("bundles", {}).get("pdp", {})
    revision: str | None = status.get("active_revision") or status.get("message")
    return revision


@pytest.mark.slow
@pytest.mark.promise("policy.signed")
@pytest.mark.parametrize("trusted", [True, False])
def test_a_sidecar_runs_what_the_pdp_serves_only_with_the_key_that_signed_it(
    *,
    trusted: bool,
    office: Office,
    tmp_path: Path,
) -> None:
    signing_key = read_signing_key(office.keys.parent / "release.pem")
    saved(office.bundle, sign(read_archive(office.plain.bundle), signing_key, system_clock()))
    known = office.keys / "release.pem" if trusted else public_key(tmp_path / "other.pem", MAKE["ec"]())
    secret = tmp_path / "pep.key"
    made = pdp(tmp_path, "keys", "create", "--server", "x", "--scope", "policy", "--out", str(secret))
    assert made.returncode == 0, made.stderr
    with serving(tmp_path, PDP_POLICY_BUNDLE=str(office.bundle), PDP_POLICY_KEYS=str(office.keys)) as url:
        shown = httpx.get(f"{url}/v1/policy", headers={"Authorization": f"Bearer {secret.read_text().strip()}"}).json()
        assert shown["signed"]["key_id"] == "release"
        place = {"service": "pdp", "resource": "v1/policy/bundle", "signing": {"keyid": "release"}}
        configuration = {
            "services": {"pdp": {"url": url, "credentials": {"bearer": {"token": secret.read_text().strip()}}}},
            "keys": {"release": {"algorithm": "ES256", "key": known.read_text()}},
            "bundles": {"pdp": place},
            "status": {"console": True},
        }
        (tmp_path / "opa.json").write_text(json.dumps(configuration))
        with running_opa(office.opa, tmp_path, "--config-file", str(tmp_path / "opa.json")) as asked:
            end = time.monotonic() + PATIENCE_S
            while not (said := outcome_in(asked)):
                assert time.monotonic() < end, "the sidecar asked for no bundle"
                time.sleep(0.05)
            answer = asked.verdict({})
    assert trusted is (said == office.plain.revision) is (answer != Asked.UNDEFINED)
    assert trusted or "failed to verify JWT signature" in said


def steps() -> list[str]:
    """Return the shell commands of the guide, block by block."""
    blocks = (ROOT / "docs" / "policy-signing.md").read_text().split("```sh\n")[1:]
    return [block.partition("```")[0] for block in blocks]


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.promise("policy.commands")
def test_a_signed_build_names_its_key_and_verify_agrees(tmp_path: Path) -> None:
    key = MAKE["ec"]()
    private_key(tmp_path / "a.pem", key)
    public_key(tmp_path / "keys" / "b.pem", key)
    environ = {"PDP_POLICY_KEYS": str(tmp_path / "keys")}

    def policy(*arguments: str) -> subprocess.CompletedProcess[str]:
        return pdp(tmp_path, "policy", *arguments, **environ)

    made = policy("build", "--sign", "a.pem", "--key-id", "b", "--json")
    assert made.returncode == 0, made.stderr
    said = policy("verify", "policy.tar.gz", "--json")
    assert json.loads(said.stdout).items() >= {"revision": json.loads(made.stdout)["revision"], "key_id": "b"}.items()
    environ.pop("PDP_POLICY_KEYS")
    assert "PDP_POLICY_KEYS is not set" in policy("verify", "policy.tar.gz").stderr
    (tmp_path / "a.pem").chmod(0o644)
    refused = policy("build", "--sign", "a.pem", "--output", "other.tar.gz")
    assert refused.returncode == 1
    assert "chmod 600" in refused.stderr
    assert not (tmp_path / "other.tar.gz").exists()
