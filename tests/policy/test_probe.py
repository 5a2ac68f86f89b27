"""The activation probe: what says yes to nothing, or is not the policy we built, is not used."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pdp.app import open_service
from pdp.engine.opa import OpaClient
from pdp.errors import Refused
from pdp.policy.pack import Pack, PackRefused, default_pack_dir, probe
from pdp.settings import Settings
from tests.policy.engine import running

pytestmark = pytest.mark.promise("policy.probe")


@asynccontextmanager
async def client(opa: Path, bundle: Path, folder: Path, pack: Pack) -> AsyncIterator[OpaClient]:
    """Run `bundle` and yield an engine that takes it for `pack`."""
    with running(opa, folder, "--bundle", str(bundle)) as asked:
        engine = OpaClient(f"unix://{asked.socket}", pack.revision)
        try:
            async with asyncio.timeout(20):
                yield engine
        finally:
            await engine.close()


async def test_the_default_pack_says_no_to_nothing(opa: Path, pack: Pack, tmp_path: Path) -> None:
    async with client(opa, pack.bundle, tmp_path, pack) as engine:
        await probe(engine, pack)


@pytest.mark.parametrize(
    ("file", "body", "says"),
    [
        ("guards/token_scope.rego", "holds := true", "guards/token_scope.rego: On an empty input this rule holds"),
        ("gates/amount.rego", "open := true", "gates/amount.rego: On an empty input this rule is open"),
        ("permits/agent_entitled.rego", "applies := true", "agent_entitled.rego: On an empty input this rule applies"),
        ("duties/redact.rego", 'duty := {"type": "limit"}', "duties: On an empty input one of these is owed"),
    ],
)
async def test_a_rule_that_says_yes_to_nothing_is_named(
    *, file: str, body: str, says: str, opa: Path, pack: Pack, unpacked: Path, tmp_path: Path
) -> None:
    package = file.removesuffix(".rego").replace("/", ".")
    (unpacked / file).write_text(f"package {package}\n\n{body}\n")
    async with client(opa, unpacked, tmp_path, pack) as engine:
        with pytest.raises(PackRefused) as refused:
            await probe(engine, pack)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('default effect := "deny"', 'default effect := "allow"'),
        ('"effect": effect,', '"effect": effect, "more": 1,'),
        ('"shut_gates": codes("gates", shut),', '"shut_gates": [],'),
        ("some name in manifest.guards\n\tnot holds(name)", "some name in manifest.gates\n\tnot holds(name)"),
        ("entry := seen with input as call", 'entry := {"name": "x"}'),
    ],
)
async def test_an_entrypoint_that_was_changed_is_refused(
    *, old: str, new: str, opa: Path, pack: Pack, unpacked: Path, tmp_path: Path
) -> None:
    file = unpacked / "pdp/decision.rego"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    async with client(opa, unpacked, tmp_path, pack) as engine:
        with pytest.raises(PackRefused):
            await probe(engine, pack)


async def test_a_policy_that_is_not_the_one_we_built_is_refused(
    opa: Path, pack: Pack, unpacked: Path, tmp_path: Path
) -> None:
    data = json.loads((unpacked / "data.json").read_text())
    data["manifest"]["revision"] = "sha256:" + "0" * 64
    (unpacked / "data.json").write_text(json.dumps(data))
    async with client(opa, unpacked, tmp_path, pack) as engine:
        with pytest.raises(Refused) as refused:
            await probe(engine, pack)
    assert refused.value.code == "engine.revision"


async def test_an_engine_that_is_away_is_told_apart_from_a_bad_policy(pack: Pack, tmp_path: Path) -> None:
    engine = OpaClient(f"unix://{tmp_path}/nobody.sock", pack.revision)
    with pytest.raises(Refused) as refused:
        await probe(engine, pack)
    await engine.close()
    assert refused.value.code == "engine.unavailable"


async def test_a_policy_for_a_sidecar_that_is_not_up_yet_is_probed_before_it_can_ever_answer(tmp_path: Path) -> None:
    policy = Path(shutil.copytree(default_pack_dir(), tmp_path / "rego"))
    entrypoint = policy / "pdp" / "decision.rego"
    entrypoint.write_text(entrypoint.read_text().replace('default effect := "deny"', 'default effect := "allow"'))
    away = f"unix://{tmp_path}/nobody.sock"
    with pytest.raises(PackRefused):
        async with open_service(Settings(data_dir=tmp_path / "bad", opa_url=away, policy_dir=policy)):
            pass
    async with open_service(Settings(data_dir=tmp_path / "good", opa_url=away)):
        pass  # the control: the same sidecar is awaited for a good one
