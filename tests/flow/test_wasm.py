"""A service with PDP_ENGINE=wasm: it decides, replaces its policy, and never turns to an OPA for an answer."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pdp.app import load_pack
from pdp.engine.binary import OPA, find, places
from pdp.engine.wasm import WasmEngine
from pdp.errors import Fault, Refused
from pdp.policy.bundle import read_bundle
from pdp.policy.known import SERVER
from pdp.policy.notice import Cause
from pdp.policy.pack import PackRefused, build_pack, default_pack_dir
from pdp.policy.revisions import bundle_of
from pdp.settings import Settings, load
from tests.flow.test_serve import children
from tests.policy.rules import rule, write
from tests.service import Bench, calm, running

pytestmark = pytest.mark.promise("serve.wasm")
CALLERS = 8


@pytest.mark.promise("policy.why")
def test_the_default_policy_stays_in_the_archive_for_the_decisions_made_by_it(tmp_path: Path) -> None:
    """Ready made or built: the next release brings another, and `pdp why` asks the one of the record."""
    pack = load_pack(Settings(data_dir=tmp_path, engine="wasm"))
    assert pack.bundle == bundle_of(tmp_path / "policy", pack.revision)
    assert read_bundle(pack.bundle) == pack


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Run a service without OPA; the org folder of its policy is there to be changed."""
    async with running(tmp_path / "data", engine="wasm", org_dir=calm(tmp_path / "org")) as bench:
        yield bench


def running_on(data_dir: Path) -> list[str]:
    """Return the command lines of the programs this process has started on a data directory and that still run."""
    pids = children(os.getpid())
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids]
    return [line for line in lines if str(data_dir) in line]


async def test_it_allows_denies_and_asks_for_approval_without_an_opa_process(bench: Bench) -> None:
    refund: dict[str, Any] = {"order": "o-1", "amount": 100}
    assert isinstance(bench.service.world.policy.active.engine, WasmEngine)
    assert (await bench.ask("create_refund", refund))["decision"] == "allow"
    denied = await bench.ask("create_refund", {**refund, "amount": 20000})
    assert (denied["decision"], [reason["code"] for reason in denied["reasons"]]) == ("deny", ["permits.none"])
    asked = await bench.ask("delete_customer", {"customer": "c-1"})
    assert asked["decision"] == "needs_approval"
    assert "gates.destructive" in [reason["code"] for reason in asked["reasons"]]
    assert asked["revisions"]["policy"] == bench.service.world.policy.active.pack.revision
    assert running_on(bench.settings.data_dir) == []


async def test_the_look_for_an_opa_process_would_find_one(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as bench:
        assert len(running_on(bench.settings.data_dir)) == 1


async def test_a_changed_policy_replaces_the_compiled_one_while_calls_go_on(bench: Bench, tmp_path: Path) -> None:
    policy, said = bench.service.world.policy, []
    old, seen = policy.active, asyncio.Event()

    async def ask_on() -> None:
        while policy.active is old or not seen.is_set():
            answer = await bench.ask("get_order")
            said.append((answer["revisions"]["policy"], answer["decision"]))
            seen.set()

    asking = [asyncio.create_task(ask_on()) for _ in range(CALLERS)]
    await seen.wait()
    body = f'holds if input.tool.name == "another"\n\nholds if input.tool.server == "{SERVER}"'
    write(tmp_path / "org", {"guards/mine.rego": rule("guards", "mine", body)})
    await bench.service.renewal.renew(Cause("api"))
    await asyncio.gather(*asking)
    said.append(((await bench.ask("get_order"))["revisions"]["policy"], "deny"))
    new = policy.active
    assert {revision for revision, _ in said} == {old.pack.revision, new.pack.revision}
    assert all((decision == "allow") == (revision == old.pack.revision) for revision, decision in said)
    with pytest.raises(Refused):
        await old.engine.evaluate("pdp/decision/verdict", b"{}", asyncio.get_running_loop().time() + 5)


async def test_a_bad_policy_does_not_replace_the_compiled_one(bench: Bench, tmp_path: Path) -> None:
    before = bench.service.world.policy.active
    write(tmp_path / "org", {"guards/mine.rego": rule("guards", "mine", "holds if not input.tool.name")})
    with pytest.raises(PackRefused, match=r"org/guards/mine\.rego"):
        await bench.service.renewal.renew(Cause("api"))
    assert bench.service.world.policy.active is before
    assert (await bench.ask("get_order"))["decision"] == "allow"


async def test_a_bundle_from_elsewhere_is_compiled_here_and_may_not_bring_its_module(tmp_path: Path) -> None:
    opa = find(OPA, places(OPA, os.environ)).path
    rules, module = (
        build_pack(opa, default_pack_dir(), None, tmp_path / str(wasm), wasm=wasm) for wasm in (False, True)
    )
    async with running(tmp_path / "data", engine="wasm", policy_bundle=rules.bundle) as bench:
        assert (await bench.ask("get_order"))["decision"] == "allow"
        assert bench.service.world.policy.active.pack.revision == rules.revision
    with pytest.raises(PackRefused, match=r"policy\.wasm in it cannot be checked"):
        async with running(tmp_path / "more", engine="wasm", policy_bundle=module.bundle):
            pass


def test_an_opa_beside_it_is_refused() -> None:
    with pytest.raises(Fault, match=r"PDP_OPA_URL: .*with PDP_ENGINE=wasm no OPA is asked: unset one of the two"):
        load(engine="wasm", opa_url="http://127.0.0.1:8181")


def test_rules_of_your_own_need_an_opa_to_be_compiled_and_the_message_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, engine="wasm", org_dir=calm(tmp_path / "org"), opa_binary=tmp_path / "none")
    with pytest.raises(Fault, match=r"Only the default pack comes compiled.*none.*cannot be used"):
        load_pack(settings)


async def test_a_service_whose_compiled_policy_says_yes_to_nothing_does_not_start(tmp_path: Path) -> None:
    entrypoint = Path(shutil.copytree(default_pack_dir(), tmp_path / "rego")) / "pdp" / "decision.rego"
    entrypoint.write_text(entrypoint.read_text().replace('default effect := "deny"', 'default effect := "allow"'))
    with pytest.raises(PackRefused):
        async with running(tmp_path / "data", engine="wasm", policy_dir=tmp_path / "rego"):
            pass
