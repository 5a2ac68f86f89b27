"""New policy while the service runs: what is bad never replaces what is good, and everything is on record."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.audit.entry import read_entry
from pdp.audit.read import Reader
from pdp.engine import VERDICT, Engine
from pdp.engine.binary import OPA, find, places
from pdp.engine.local import LocalOpa
from pdp.errors import Fault, Unrecorded
from pdp.policy.change import Change
from pdp.policy.live import Active
from pdp.policy.newest import admit
from pdp.policy.notice import Cause, Notices, Rejection
from pdp.policy.pack import Pack, PackRefused, build_pack, default_pack_dir
from pdp.policy.renewal import Plan, Renewal
from tests.conftest import FakeClock
from tests.contracts.engines import until
from tests.flow import swaps
from tests.policy.rules import rule, write
from tests.policy.test_canary import CANARY, NAMES, checkers
from tests.rooms import open_rooms
from tests.service import CALM, Bench, running

pytestmark = pytest.mark.promise("live.refused")
SOON_S = 15.0
PROBE = 'holds if input.tool.server == "pdp.probe"'
API = Cause("api", "pep_test")


@dataclass(frozen=True)
class Changing:
    """A running service and the folder of its organisation's own rules."""

    pdp: Bench
    org: Path

    @property
    def renewal(self) -> Renewal:
        return self.pdp.service.renewal

    @property
    def active(self) -> Active:
        return self.pdp.service.world.policy.active

    @property
    def rejection(self) -> Rejection | None:
        return self.renewal.notices.rejection

    def records(self, kind: str) -> list[Any]:
        """Return the bodies of the records of one kind."""
        entries = [read_entry(line) for line in Reader(self.pdp.service.world.log.directory).lines()]
        return [entry.body for entry in entries if entry.kind == kind]

    async def metric(self, name: str) -> float:
        """Return the value of a metric."""
        page = (await self.pdp.http.get("/metrics")).text
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{name} "))


@pytest.fixture
async def changing(tmp_path: Path) -> AsyncIterator[Changing]:
    """Return a service with an org folder that has variant 0 of `guards.mine`."""
    org = swaps.own_rules(tmp_path / "org")
    async with running(tmp_path / "data", org_dir=org) as pdp:
        yield Changing(pdp, org)


@pytest.mark.promise("live.recorded")
async def test_the_start_is_on_record(changing: Changing) -> None:
    started = {"revision": changing.active.pack.revision, "engine": "opa", "trigger": "start", "change": {}}
    assert changing.records("policy.activated") == [started]


@pytest.mark.promise("live.recorded")
async def test_a_renewal_says_what_changed_who_asked_and_what_is_to_be_reviewed(changing: Changing) -> None:
    before = changing.active.pack.revision
    named = "input.caller.person.id == input.tool.owner"
    write(
        changing.org,
        {
            "permits/more.rego": rule("permits", "more", f"applies if {named}\n\nconcerns if {named}"),
            "gates/more.rego": rule("gates", "more", f"open if {named}\n\n{PROBE.replace('holds', 'open')}"),
            "config.yaml": CALM + "\ngates: {amount: {open_up_to: 4000}}\n",
        },
    )
    (changing.org / "guards" / "mine.rego").unlink()
    change = await changing.renewal.renew(API)
    assert (change.added, change.removed) == (["gates.more", "permits.more"], ["guards.mine"])
    assert (change.values, change.review) == (["gates.amount"], ["permits.more"])
    last = changing.records("policy.activated")[-1]
    assert (last["previous"], last["revision"]) == (before, changing.active.pack.revision)
    assert (last["trigger"], last["by"], last["change"]["review"]) == ("api", "pep_test", ["permits.more"])
    assert await changing.renewal.renew(API) == Change(), "the same files again change nothing"
    assert len(changing.records("policy.activated")) == 2


@pytest.mark.slow
@pytest.mark.parametrize("step", ["place", "schema", "capabilities", "form", "law", "probe"])
async def test_a_mistake_of_each_kind_that_is_saved_never_replaces_what_is_good(changing: Changing, step: str) -> None:
    name = next(name for name in NAMES if step in checkers(CANARY / name))
    good = changing.active
    mistake = changing.org / name
    mistake.parent.mkdir(exist_ok=True)
    shutil.copy(CANARY / name, mistake)
    await until(lambda: changing.rejection is not None, SOON_S)
    rejection = changing.rejection
    assert rejection is not None
    assert changing.active is good
    assert {problem.file for problem in rejection.problems} <= {f"org/{name}", "duties"}
    assert all(problem.what and problem.instead for problem in rejection.problems)
    (record,) = changing.records("policy.rejected")
    assert (record["trigger"], record["stays"]) == ("watch", good.pack.revision)
    assert record["problems"] == msgspec.to_builtins(rejection.problems)
    assert await changing.metric("pdp_policy_refused") == 1
    assert (await changing.pdp.ask())["revisions"]["policy"] == good.pack.revision
    mistake.unlink()
    await until(lambda: changing.rejection is None, SOON_S)
    assert changing.active is good
    assert await changing.metric("pdp_policy_refused") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "content", [b"risk: [unclosed", b"\xff\xfe\x00", b"guards: {risk_ceiling: {raed: 1}}", b"a: 1\na: 2"]
)
async def test_values_that_cannot_be_read_never_replace_what_is_good(changing: Changing, content: bytes) -> None:
    good = changing.active
    (changing.org / "config.yaml").write_bytes(content)
    with pytest.raises(PackRefused, match=r"org/config\.yaml"):
        await changing.renewal.renew(API)
    assert changing.active is good
    (record,) = {json.dumps(body) for body in changing.records("policy.rejected") if body["trigger"] == "api"}
    assert json.loads(record)["by"] == "pep_test"


@pytest.mark.slow
async def test_folders_that_are_gone_never_replace_what_is_good(changing: Changing) -> None:
    good = changing.active
    shutil.rmtree(changing.org)
    await until(lambda: changing.rejection is not None, SOON_S)
    assert changing.active is good
    assert await allowed(changing)


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    """Return an OPA that checks and builds, and serves only while there is no file `broken` beside it."""
    real, script = find(OPA, places(OPA, os.environ)).path, tmp_path / "opa"
    script.write_text(f'#!/bin/sh\n[ "$1" = run ] && [ -e {tmp_path}/broken ] && exit 3\nexec {real} "$@"\n')
    script.chmod(0o700)
    return script


@pytest.mark.slow
async def test_an_opa_that_does_not_start_is_said_once_and_tried_again(fragile: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "data", org_dir=swaps.own_rules(tmp_path / "org"), opa_binary=fragile) as pdp:
        changing = Changing(pdp, tmp_path / "org")
        good = changing.active
        (tmp_path / "broken").touch()
        swaps.place(changing.org, 1)
        await until(lambda: changing.rejection is not None, SOON_S)
        for _ in range(2):
            with pytest.raises(Fault, match="OPA stopped with status 3"):
                await changing.renewal.renew(Cause("watch"))
        assert changing.active is good
        assert len(changing.records("policy.rejected")) == 1, "the same again is not said again"
        (tmp_path / "broken").unlink()
        await until(lambda: changing.active is not good, SOON_S)
        assert changing.rejection is None
        assert await allowed(changing) == changing.active.pack.revision


@pytest.mark.promise("live.recorded")
async def test_an_activation_that_cannot_be_recorded_is_not_made_until_it_can(
    changing: Changing, tmp_path: Path
) -> None:
    good, shard = changing.active, changing.pdp.service.world.log.directory
    shard.rename(tmp_path / "elsewhere")
    shard.write_text("a file where the log should be")
    swaps.place(changing.org, 1)
    with pytest.raises(Unrecorded):
        await changing.renewal.renew(API)
    assert changing.active is good
    shard.unlink()
    (tmp_path / "elsewhere").rename(shard)
    await until(lambda: changing.active is not good, SOON_S)
    assert changing.records("policy.activated")[-1]["revision"] == changing.active.pack.revision


async def test_a_good_edit_is_in_force_though_the_archive_was_cleared(changing: Changing) -> None:
    """As by a job that deletes what is a month old: what the policy in force was built to is not read again."""
    before = changing.active.pack
    before.bundle.unlink()
    swaps.place(changing.org, 1)
    change = await changing.renewal.renew(API)
    assert (change.changed, change.shared) == (["guards.mine"], [])
    assert changing.active.pack.revision != before.revision
    assert changing.rejection is None


@pytest.mark.promise("live.watched")
async def test_of_changes_one_after_another_the_last_is_in_force(changing: Changing) -> None:
    renewing = [asyncio.create_task(changing.renewal.renew(API)) for _ in range(2)]
    for number in range(1, 6):
        await asyncio.to_thread(swaps.place, changing.org, number)
        await asyncio.sleep(0)
    await asyncio.gather(*renewing)
    await until(lambda: changing.active.pack.rules["guards.mine"].title == swaps.title_of(5), SOON_S)
    await changing.renewal.renew(API)
    assert changing.active.pack.rules["guards.mine"].title == swaps.title_of(5)
    assert changing.rejection is None


@dataclass
class Reading:
    """Builds as the service does, and lets `meanwhile` happen to the files of each reading, by its number."""

    org: Path
    built: Path
    meanwhile: Callable[[int], None]
    readings: int = 0

    def build(self) -> Pack:
        """Build, and let the files change before the pack is looked at."""
        self.readings += 1
        try:
            return build_pack(find(OPA, places(OPA, os.environ)).path, default_pack_dir(), self.org, self.built)
        finally:
            self.meanwhile(self.readings)

    async def start(self, pack: Pack) -> Engine:
        """Start an OPA."""
        opa = find(OPA, places(OPA, os.environ)).path
        return await LocalOpa.start(opa, pack.bundle, pack.revision, self.built / "run")


@asynccontextmanager
async def reading(tmp_path: Path, clock: FakeClock, meanwhile: Callable[[int], None]) -> AsyncIterator[Renewal]:
    """Run a renewal of its own on an org folder with variant 0; nobody asks it anything."""
    org = tmp_path / "org"
    source = Reading(org, tmp_path / "built", meanwhile)
    async with open_rooms(tmp_path / "rooms", clock) as rooms:
        admits = partial(admit, rooms.office.store)
        plan = Plan(places=[org], build=source.build, start=source.start, admit=admits)
        renewal = Renewal(plan, Notices(rooms.office, "opa", lambda _: None))
        try:
            await renewal.renew(Cause("start"))
            yield renewal
        finally:
            await renewal.close()


@pytest.mark.slow
@pytest.mark.promise("live.watched")
async def test_files_that_change_while_they_are_read_are_read_again(tmp_path: Path, clock: FakeClock) -> None:
    org = swaps.own_rules(tmp_path / "org")
    broken = org / "guards" / "half.rego"

    def meanwhile(reading: int) -> None:
        if reading == 2:
            broken.write_text("package guards.half")
        if reading == 3:  # which read a file that was half written, and is whole, or gone, now
            broken.unlink()
            swaps.place(org, 2)

    async with reading(tmp_path, clock, meanwhile) as renewal:
        swaps.place(org, 1)
        change = await renewal.renew(API)
        assert change.changed == ["guards.mine"]
        assert renewal.policy.active.pack.rules["guards.mine"].title == swaps.title_of(2)
        assert renewal.notices.rejection is None


@pytest.mark.slow
async def test_files_that_never_rest_are_not_built(tmp_path: Path, clock: FakeClock) -> None:
    org = swaps.own_rules(tmp_path / "org")
    async with reading(tmp_path, clock, lambda turn: swaps.place(org, turn) if turn > 1 else None) as renewal:
        good = renewal.policy.active
        swaps.place(org, 1)
        with pytest.raises(Fault, match="change while they are read"):
            await renewal.renew(API)
        assert renewal.policy.active is good


@pytest.mark.promise("live.switch")
async def test_a_call_that_began_under_the_old_policy_ends_under_it(changing: Changing) -> None:
    policy = changing.pdp.service.world.policy
    with policy.held() as held:
        swaps.place(changing.org, 1)
        await changing.renewal.renew(API)
        assert policy.active is not held
        deadline = asyncio.get_running_loop().time() + SOON_S
        assert held.pack.revision.encode() in await held.engine.evaluate(VERDICT, b"{}", deadline)
    engine = held.engine
    assert isinstance(engine, LocalOpa)
    await until(lambda: engine.pid is None, SOON_S)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["building", "starting", "ready", "switched"])
async def test_a_renewal_under_way_when_the_service_stops_leaves_nothing_behind(
    socket_folder: Path, moment: str
) -> None:
    org = swaps.own_rules(socket_folder / "org")
    before = set(swaps.opas_of(os.getpid()))
    async with running(socket_folder / "data", org_dir=org) as pdp:
        changing = Changing(pdp, org)
        serving = set(swaps.opas_of(os.getpid())) - before
        swaps.place(org, 1)
        renewing = asyncio.create_task(changing.renewal.renew(API))
        reached = {
            "building": lambda: any((socket_folder / "data" / "policy").glob(".building-*")),
            "starting": lambda: len(list((socket_folder / "data" / "run").glob("opa-*"))) > 1,
            "ready": lambda: len(list((socket_folder / "data" / "run").glob("opa-*/opa.sock"))) > 1,
        }
        await (renewing if moment == "switched" else until(reached[moment], SOON_S))
    with suppress(asyncio.CancelledError):
        await renewing
    await until(lambda: not serving & set(swaps.opas_of(os.getpid())), SOON_S)
    assert not [*(socket_folder / "data" / "run").glob("opa-*")]
    assert set(swaps.opas_of(os.getpid())) <= before


async def allowed(changing: Changing) -> str:
    """Return the revision under which a call of the side that passes is allowed."""
    order = swaps.side_of(int(changing.active.pack.rules["guards.mine"].title.rpartition(" ")[2]))
    given = await changing.pdp.ask(arguments={"order": order})
    assert given["decision"] == "allow", given
    return str(given["revisions"]["policy"])
