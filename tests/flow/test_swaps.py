"""Policy is replaced under load, and every answer is of exactly one policy: that of the revision it names."""

import os
from pathlib import Path
from typing import Any

import pytest

from pdp.audit.entry import Entry, read_entry
from pdp.audit.read import Reader
from pdp.settings import Settings
from pdp.times import system_clock
from tests.bench.stage import Home, furnish, serving
from tests.flow import swaps
from tests.service import add_pep
from tests.sidecar import sidecar

ROOT = Path(__file__).parent.parent.parent
TIMED = "SWAPS" in os.environ  # not among other tests
SWAPS = int(os.environ.get("SWAPS", "10"))  # as many as show a mix; `make swaps` does 50
AT_MOST_S = 2.0  # twice what is promised, on a machine that does nothing else; `make swaps` prints what it was

pytestmark = [pytest.mark.promise("live.switch"), pytest.mark.slow, pytest.mark.timeout(300)]


def entries(data_dir: Path, kind: str) -> list[Entry]:
    """Return the entries of one kind in the service's log."""
    read = [read_entry(line) for line in Reader(data_dir / "log" / "0").lines()]
    return [entry for entry in read if entry.kind == kind]


def variants_of(data_dir: Path, **which: Any) -> dict[str, int]:
    """Return the number of the variant of each revision, in the order they came into force."""
    bodies = [entry.body for entry in entries(data_dir, "policy.activated")]
    chosen = [body for body in bodies if all(body.get(name, False) == value for name, value in which.items())]
    return {body["revision"]: number for number, body in enumerate(chosen)}


async def test_swaps_under_load_fail_no_request_and_mix_no_answer(tmp_path: Path) -> None:
    timed, home, org = TIMED and swaps.quiet(), await furnish(tmp_path / "data"), swaps.own_rules(tmp_path / "org")
    async with serving(home, ROOT, PDP_ORG_DIR=str(org), PDP_LOG_LEVEL="warning") as (pid, port):
        async with swaps.loaded(home, port) as load:
            took = await swaps.swapped(org, load, SWAPS)
        await swaps.until(lambda: len(swaps.opas_of(pid)) == 1, "the replaced OPAs to end")
    swaps.told("local OPA", took, load)
    variants = variants_of(home.data_dir)
    assert len(variants) == SWAPS + 1
    swaps.must_be_right(load, variants)
    swaps.must_move_on(load, variants)
    assert not timed or max(took) < AT_MOST_S
    must_be_recorded(home, load, variants)


def must_be_recorded(home: Home, load: swaps.Load, variants: dict[str, int]) -> None:
    """Fail unless the records say what the answers said, and each activation names the one before."""
    recorded = {entry.body["id"]: entry.body for entry in entries(home.data_dir, "decision")}
    for seen in load.seen:
        body = recorded[seen.body["id"]]
        assert body["revisions"]["policy"] == seen.revision
        assert body["decision"] == seen.body["decision"]
    activated = [entry.body for entry in entries(home.data_dir, "policy.activated")]
    in_order = list(variants)
    assert [body.get("previous") for body in activated] == [None, *in_order[:-1]]
    assert {body["trigger"] for body in activated[1:]} == {"watch"}
    assert all(body["change"] == {"changed": ["guards.mine"]} for body in activated[1:])


@pytest.mark.promise("live.sidecar")
async def test_swaps_with_a_sidecar_fail_no_request_and_mix_no_answer(tmp_path: Path, socket_folder: Path) -> None:
    timed, home, org = TIMED and swaps.quiet(), await furnish(tmp_path / "data"), swaps.own_rules(tmp_path / "org")
    key = await add_pep(Settings(data_dir=home.data_dir), system_clock, scopes=["policy"])
    more = {"PDP_ORG_DIR": str(org), "PDP_OPA_URL": f"unix://{socket_folder}/s", "PDP_LOG_LEVEL": "warning"}
    async with serving(home, ROOT, **more) as (pid, port):
        async with sidecar(socket_folder, f"http://127.0.0.1:{port}", key) as opa:
            await swaps.until(lambda: bool(variants_of(home.data_dir, offered=False)), "a first policy taken up")
            async with swaps.loaded(home, port) as load:
                took = await swaps.swapped(org, load, SWAPS)
            assert opa.returncode is None
        assert not swaps.opas_of(pid), "an OPA of our own lives as long as its probe"
    swaps.told("sidecar", took, load)
    variants = variants_of(home.data_dir, offered=True)
    assert len(variants) == SWAPS + 1
    assert variants_of(home.data_dir).keys() == variants.keys(), "whatever was offered was taken up, on record"
    swaps.must_be_right(load, variants)
    swaps.must_move_on(load, variants)
    assert not timed or max(took) < AT_MOST_S
