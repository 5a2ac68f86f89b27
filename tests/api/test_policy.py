"""`/v1/policy`: what is in force, a renewal on request, and the bundle as OPA fetches it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from pdp.api.policy import BUNDLES, LONGEST_WAIT_S, WAITS_OF_ONE, revisions_in, wait_of
from pdp.settings import Settings
from pdp.times import system_clock
from tests.bench.stage import furnish, serving
from tests.conftest import ROOT
from tests.contracts.engines import until
from tests.flow import swaps
from tests.flow.test_operator_commands import pdp as command
from tests.policy.rules import org as one_rule
from tests.service import Bench, add_pep, running

pytestmark = pytest.mark.promise("live.api")
SOON_S = 15.0


@pytest.fixture
async def pdp(tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a service of its own, asked with a key of scope `policy`; its org folder is `org`."""
    async with running(tmp_path / "data", org_dir=swaps.own_rules(tmp_path / "org")) as bench:
        key = await add_pep(bench.settings, bench.clock, scopes=["policy"])
        await bench.service.peps.poll()
        bench.http.headers["Authorization"] = f"Bearer {key}"
        yield replace(bench, key=key)


async def test_the_policy_in_force_is_shown_with_the_words_of_its_rules(pdp: Bench) -> None:
    shown = (await pdp.http.get("/v1/policy")).json()
    pack = pdp.service.world.policy.active.pack
    assert (shown["revision"], shown["engine"], shown["since"]) == (pack.revision, "opa", "2026-01-05T10:00:00Z")
    assert [rule["code"] for rule in shown["rules"]] == sorted(pack.rules)
    mine = next(rule for rule in shown["rules"] if rule["code"] == "guards.mine")
    assert mine == {
        "code": "guards.mine",
        "title": "Variant 0",
        "stage": "call",
        "owner": "tests",
        "file": "org/guards/mine.rego",
    }
    assert "rejection" not in shown


async def test_a_renewal_on_request_says_what_changed_and_a_refused_one_what_is_wrong(
    pdp: Bench, tmp_path: Path
) -> None:
    before = pdp.service.world.policy.active.pack.revision
    swaps.place(tmp_path / "org", 1)
    done = await pdp.http.post("/v1/policy/activate")
    assert done.status_code == 200
    assert done.json()["revision"] == pdp.service.world.policy.active.pack.revision != before
    one_rule(tmp_path, "guards", "holds if input.risk.score < 80", name="wrong")
    refused = await pdp.http.post("/v1/policy/activate")
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["code"] == "policy.refused"
    (problem,) = refused.json()["problems"]
    assert (problem["file"], problem["line"]) == ("org/guards/wrong.rego", 13)
    assert "`<` is not in the safe form" in problem["what"]
    assert "number.at_most" in problem["instead"]
    shown = (await pdp.http.get("/v1/policy")).json()
    assert shown["revision"] == done.json()["revision"]
    assert shown["rejection"]["problems"] == [problem]


@pytest.mark.parametrize("path", ["/v1/policy", "/v1/policy/bundle", "/v1/policy/activate"])
async def test_no_other_key_sees_renews_or_fetches_the_policy(pdp: Bench, path: str) -> None:
    method = "POST" if path.endswith("activate") else "GET"
    other = await add_pep(pdp.settings, pdp.clock, scopes=["decide", "signals", "identity", "registry", "audit"])
    await pdp.service.peps.poll()
    for key, status in ((other, 403), ("pdp_x_y", 401)):
        response = await pdp.http.request(method, path, headers={"Authorization": f"Bearer {key}"})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


async def test_the_bundle_is_the_one_that_was_checked_and_its_tag_is_the_revision(pdp: Bench) -> None:
    pack = pdp.service.world.policy.active.pack
    fetched = await pdp.http.get("/v1/policy/bundle")
    assert fetched.content == pack.bundle.read_bytes()
    assert (fetched.headers["etag"], fetched.headers["content-type"]) == (f'"{pack.revision}"', BUNDLES)
    again = await pdp.http.get("/v1/policy/bundle", headers={"If-None-Match": fetched.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == fetched.headers["etag"]


async def test_whoever_waits_for_the_next_bundle_gets_it_when_there_is_one(pdp: Bench, tmp_path: Path) -> None:
    known = {"If-None-Match": f'"{pdp.service.world.policy.active.pack.revision}"'}
    waiting = asyncio.create_task(
        pdp.http.get("/v1/policy/bundle", headers={**known, "Prefer": "modes=snapshot;wait=30"})
    )
    swaps.place(tmp_path / "org", 1)
    fetched = await asyncio.wait_for(waiting, SOON_S)
    assert fetched.status_code == 200
    assert fetched.headers["etag"] == f'"{pdp.service.world.policy.active.pack.revision}"' != known["If-None-Match"]


async def test_whoever_waits_in_vain_is_told_so_in_time_and_when_the_service_stops(pdp: Bench) -> None:
    known = {"If-None-Match": f'"{pdp.service.world.policy.active.pack.revision}"'}
    in_vain = await pdp.http.get("/v1/policy/bundle", headers={**known, "Prefer": "modes=snapshot,delta;wait=1"})
    assert in_vain.status_code == 304
    waiting = asyncio.create_task(pdp.http.get("/v1/policy/bundle", headers={**known, "Prefer": "wait=60"}))
    await asyncio.sleep(0)
    pdp.service.world.policy.hush()
    assert (await asyncio.wait_for(waiting, SOON_S)).status_code == 304


@pytest.mark.promise("api.bounds")
async def test_only_so_many_wait_for_a_bundle_and_the_rest_are_answered_at_once(pdp: Bench) -> None:
    known = {"If-None-Match": f'"{pdp.service.world.policy.active.pack.revision}"', "Prefer": "wait=60"}
    asking = [asyncio.create_task(pdp.http.get("/v1/policy/bundle", headers=known)) for _ in range(WAITS_OF_ONE + 6)]
    await until(lambda: sum(task.done() for task in asking) >= 6, SOON_S)
    waiting = [task for task in asking if not task.done()]
    assert [task.result().status_code for task in asking if task.done()] == [304] * 6
    pdp.service.world.policy.hush()
    assert {(await task).status_code for task in waiting} == {304}


async def test_a_service_that_is_told_to_stop_first_answers_whoever_waits_for_a_bundle(tmp_path: Path) -> None:
    home = await furnish(tmp_path / "data")
    key = await add_pep(Settings(data_dir=home.data_dir), system_clock, scopes=["policy"])
    async with serving(home, ROOT) as (pid, port):
        headers = {"Authorization": f"Bearer {key}", "Prefer": "wait=60"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            first = await client.get("/v1/policy/bundle")
            known = {"If-None-Match": first.headers["etag"]}
            asking = [
                asyncio.create_task(client.get("/v1/policy/bundle", headers=known)) for _ in range(WAITS_OF_ONE + 1)
            ]
            turned_away, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert len(turned_away) == 1, "the service said that all places are taken: the others wait there"
            os.kill(pid, signal.SIGTERM)
            assert {(await task).status_code for task in waiting} == {304}


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("modes=snapshot,delta;wait=10", 10),
        ("wait=10", 10),
        ("wait=10, modes=snapshot", 10),
        ("wait=999999", LONGEST_WAIT_S),
        ("await=10", 0),
        ("wait=-1", 0),
        ("wait=ten", 0),
        ("modes=snapshot", 0),
    ],
)
def test_how_long_a_client_would_wait_is_read_as_it_is_written(prefer: str, seconds: float) -> None:
    assert wait_of({"headers": [(b"prefer", prefer.encode())]}) == seconds


def test_the_bundles_a_client_has_are_read_as_they_are_written() -> None:
    assert revisions_in('"sha256:a", W/"sha256:b"') == {"sha256:a", "sha256:b"}
    assert revisions_in(None) == revisions_in("") == set()


@pytest.mark.promise("policy.commands")
async def test_pdp_policy_activate_shows_its_key_to_nobody_on_the_way_and_knows_another_service(tmp_path: Path) -> None:
    (tmp_path / "policy.key").write_text("pdp_key")
    asking = ("policy", "activate", "--key-file", str(tmp_path / "policy.key"), "--url")
    far = await asyncio.to_thread(command, tmp_path, *asking, "http://192.0.2.1:8180")
    assert "the key could be read on the way" in far.stderr

    async def page(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        other = await asyncio.to_thread(command, tmp_path, *asking, place)
    assert f"{place} answered 502, and not as a PDP does" in other.stderr
    assert "Traceback" not in far.stderr + other.stderr


@pytest.mark.promise("policy.commands")
def test_pdp_policy_activate_looks_where_people_reach_the_service(tmp_path: Path) -> None:
    (tmp_path / "policy.key").write_text("pdp_key")
    asking = ("policy", "activate", "--key-file", str(tmp_path / "policy.key"))
    far = command(tmp_path, *asking, PDP_PUBLIC_URL="http://192.0.2.1:8180")
    assert "http://192.0.2.1:8180 is neither https nor this machine" in far.stderr


@pytest.mark.promise("policy.commands")
async def test_pdp_policy_activate_asks_the_running_service_and_says_what_it_said(tmp_path: Path) -> None:
    home, org, key = await furnish(tmp_path / "data"), swaps.own_rules(tmp_path / "org"), tmp_path / "policy.key"
    made = command(home.data_dir, "keys", "create", "--server", "payments", "--scope", "policy", "--out", str(key))
    assert made.returncode == 0, made.stderr
    async with serving(home, ROOT, PDP_ORG_DIR=str(org)) as (_, port):
        asking = ("policy", "activate", "--url", f"http://127.0.0.1:{port}", "--key-file", str(key))
        done = await asyncio.to_thread(command, home.data_dir, *asking)
        assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["nothing changed"]), done.stderr
        one_rule(tmp_path, "guards", "holds if input.risk.score < 80", name="wrong")
        refused = await asyncio.to_thread(command, home.data_dir, *asking)
        assert refused.returncode == 1
        assert "org/guards/wrong.rego:13: `<` is not in the safe form" in refused.stderr
        assert "Traceback" not in refused.stderr
