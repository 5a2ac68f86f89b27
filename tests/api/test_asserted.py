"""Callers an adapter vouches for: only by a key that says so, never beyond what is registered, marked on record."""

import json
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pdp.audit.read import Reader
from pdp.identity.peps import Peps
from pdp.settings import Settings
from pdp.store.sql import open_store
from tests.commands import Done, run
from tests.conftest import ROOT, FakeClock
from tests.service import Bench, add_pep

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.promise("identify.asserted")]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trusted(pdp: Bench) -> AsyncIterator[Bench]:
    """Return the service as seen by an adapter whose key allows `unsafe_assert_identity`."""
    key = await add_pep(pdp.settings, pdp.clock, unsafe_assert_identity=True)
    await pdp.service.peps.poll()
    yield replace(pdp, key=key)


async def ask(bench: Bench, tool: str = "get_order", **asserted: str) -> Any:
    body = bench.query(tool) | {"caller": {"asserted": asserted}}
    response = await bench.post("/v1/decisions", body)
    assert response.status_code == 200, response.text
    return response.json()


def codes(answer: Any) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]


def recorded(bench: Bench, identifier: str) -> Any:
    """Return the body of the record of a decision or listing."""
    bodies = [json.loads(line)["body"] for line in Reader(bench.settings.data_dir / "log" / "0").lines()]
    return next(body for body in bodies if body.get("id") == identifier)


@pytest.mark.parametrize(
    ("asserted", "mode"),
    [
        ({"person": "alice"}, "user_direct"),
        ({"person": "alice", "agent": "bot"}, "user_delegated"),
        ({"agent": "bot"}, "autonomous"),
    ],
)
async def test_a_key_that_may_vouch_is_believed_and_the_record_says_so(
    asserted: dict[str, str], mode: str, trusted: Bench
) -> None:
    given = await ask(trusted, **asserted)
    assert given["decision"] == "allow", given
    body = recorded(trusted, given["id"])
    assert body["asserted"] == {"person": None, "agent": None, **asserted}
    assert (body["caller"]["asserted"], body["caller"]["mode"]) == (True, mode)
    seen = body["input"]["caller"]
    assert seen["verified_by"] == f"pep:{body['pep']}"
    assert (seen["client"]["id"], seen["token"]["issuer"], seen["token"]["scopes"]) == ("", "", [])
    assert seen["session"]["age_s"] > 365 * 86_400
    assert "caller.asserted" in {item["code"] for item in given["risk"]["evidence"]}
    assert not any(given["risk"].get("coverage", body["risk"]["coverage"]).values())
    assert "token_sha256" not in body


@pytest.mark.parametrize(
    ("asserted", "expected"),
    [
        ({}, "identity.person_unknown"),
        ({"person": "nobody"}, "identity.person_unknown"),
        ({"person": "00u1"}, "identity.person_unknown"),  # the name an issuer uses is not an id of ours
        ({"person": ""}, "identity.person_unknown"),
        ({"person": "bot"}, "identity.ambiguous"),
        ({"person": "carol"}, "identity.person_inactive"),
        ({"person": "alice", "agent": "nobody"}, "identity.agent_unknown"),
        ({"person": "alice", "agent": ""}, "identity.agent_unknown"),
        ({"person": "alice", "agent": "bob"}, "identity.ambiguous"),
        ({"person": "alice", "agent": "alice"}, "identity.ambiguous"),
        ({"person": "alice", "agent": "off"}, "identity.agent_inactive"),
        ({"person": "alice", "agent": "bot-2"}, "identity.delegation_missing"),
        ({"person": "bob", "agent": "bot"}, "identity.delegation_missing"),
        ({"agent": "alice"}, "identity.ambiguous"),
    ],
)
async def test_vouching_gives_nobody_standing(asserted: dict[str, str], expected: str, trusted: Bench) -> None:
    given = await ask(trusted, **asserted)
    assert codes(given) == [expected]
    assert recorded(trusted, given["id"])["asserted"] == {"person": None, "agent": None, **asserted}


async def test_without_the_right_a_key_is_not_believed_and_its_attempt_is_on_record(pdp: Bench) -> None:
    given = await ask(pdp, person="alice")
    assert codes(given) == ["identity.assertion_refused"]
    body = recorded(pdp, given["id"])
    assert body["asserted"] == {"person": "alice", "agent": None}
    assert "caller" not in body


async def test_the_right_does_not_replace_a_token_that_is_there(trusted: Bench) -> None:
    assert codes(await trusted.ask(token="x.y.z")) == ["identity.token_malformed"]
    both = trusted.query() | {"caller": {"access_token": trusted.token(), "asserted": {"person": "bob"}}}
    assert (await trusted.post("/v1/decisions", both)).status_code == 400


async def test_listings_and_batches_follow_the_key_too(trusted: Bench, pdp: Bench) -> None:
    listing: dict[str, Any] = {"caller": {"asserted": {"person": "alice"}}, "server": "payments", "tools": []}
    listing["tools"] = [{"name": "get_order", "definition_digest": trusted.query()["tool"]["definition_digest"]}]
    batch = {"decisions": [trusted.query() | {"caller": {"asserted": {"person": "alice"}}}]}
    for bench, shown, decision in ((trusted, True, "allow"), (pdp, False, "deny")):
        seen = (await bench.post("/v1/tools/visible", listing)).json()
        assert [tool["visible"] for tool in seen["tools"]] == [shown]
        assert recorded(bench, seen["id"])["asserted"] == {"person": "alice", "agent": None}
        given = (await bench.post("/v1/decisions/batch", batch)).json()
        assert [item["decision"] for item in given["decisions"]] == [decision]


async def test_each_such_key_is_named_in_the_log_of_the_service_once(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data_dir=tmp_path)
    plain = await add_pep(settings, clock)
    unsafe = await add_pep(settings, clock, unsafe_assert_identity=True)
    store = await open_store(settings.store_url)
    peps = Peps(store, clock)
    with caplog.at_level(logging.WARNING, "pdp.identity.peps"):
        await peps.poll()
        await add_pep(settings, clock)
        await peps.poll()
    await store.dispose()
    named = [record.getMessage() for record in caplog.records if "unsafe_assert_identity" in record.getMessage()]
    assert sum(f"pep_{unsafe.split('_')[1]} " in message for message in named) == 1
    assert not any(f"pep_{plain.split('_')[1]} " in message for message in named)


async def test_the_flag_is_off_unless_asked_for_and_warned_about(tmp_path: Path) -> None:
    environ = {**os.environ, "PDP_DATA_DIR": str(tmp_path)}

    def keys(*arguments: str) -> Done:
        done = run("keys", *arguments, environ=environ, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done

    assert "warning" not in keys("create", "--server", "s").stderr
    warned = keys("create", "--server", "s", "--unsafe-assert-identity", "--json")
    assert json.loads(warned.stdout)["id"] in warned.stderr
    rows = json.loads(keys("list", "--json").stdout)
    assert [row["unsafe_assert_identity"] for row in rows] == [0, 1]
    entries = [json.loads(line) for line in Reader(next((tmp_path / "log").iterdir())).lines()]
    made = [entry["body"] for entry in entries if entry["kind"] == "key.created"]
    assert [body["unsafe_assert_identity"] for body in made] == [0, 1]
