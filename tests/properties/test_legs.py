"""Five legs carry a call: person, delegation, agent, token, registry. Without any one of them it does not stand.

Each row of `CUTS` takes one leg away from a good call, or narrows it below the call, and names the code that says so.
Every call goes through the whole service: real store, signatures, log, and each of the two engines.
"""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.identity.feed import read_feed
from pdp.identity.importer import import_identity
from pdp.query import definition_digest
from pdp.store import tables
from pdp.store.changes import EVERYTHING, append
from pdp.store.sql import Store, open_store, transaction
from tests.flow.people import LATER, alias
from tests.idp import AUDIENCE, ISSUER
from tests.service import TOOLS, Bench, add_pep, calm, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.promise("legs")]

PAST = "2026-01-05T09:59:59Z"
OTHER = ["payments/get_*", "mail/*"]
RIGHT = {"permission": "call", "tool": "payments/create_refund"}
BOUND = {"pointer": "/amount", "op": "le", "value": 99}

GOOD: dict[str, Any] = {
    "person": {"status": "active", "entitlements": [RIGHT]},
    "delegation": {"scope": ["payments/*"], "max_impact": "write", "expires_at": LATER},
    "entry": {"status": "active", "ceiling": ["payments/*"], "max_impact": "write"},
    "link": {"scope": ["payments/*"], "expires_at": LATER},
    "agent": {"status": "active", "ceiling": ["payments/*"], "max_impact": "write", "entitlements": [RIGHT]},
    "claims": {"scope": "refunds tools:call"},
    "tool": {
        "server": "payments",
        "name": "create_refund",
        "definition_digest": definition_digest(TOOLS["create_refund"][0]),
    },
    "arguments": {"order": "o-1", "amount": 100},
    "caller": "token",
}
"""A refund of 100 that all five legs carry. `entry`: the agent that hands on to `agent`, when there is a chain."""

WHO: dict[str, dict[str, Any]] = {
    "user_direct": {"sub": "alice-1", "client_id": "web-app"},
    "user_delegated": {"sub": "alice-1", "client_id": "web-app", "act": {"sub": "agent-1"}},
    "by_client": {"sub": "alice-1", "client_id": "agent-1"},
    "chain": {"sub": "alice-1", "client_id": "web-app", "act": {"sub": "agent-1", "act": {"sub": "entry-1"}}},
    "autonomous": {"sub": "agent-1", "client_id": "agent-1"},
}
"""The modes of `caller.mode`; delegation in its three shapes."""

ALONE = ("user_delegated", "by_client")
DELEGATED = (*ALONE, "chain")
PEOPLE = ("user_direct", *DELEGATED)
AGENTS = (*DELEGATED, "autonomous")
ALL = tuple(WHO)


class Cut(NamedTuple):
    """In `modes`, setting `what` to `value` breaks `leg`, and the call is denied with exactly `code`."""

    leg: str
    what: str
    value: Any
    modes: tuple[str, ...]
    code: str


CUTS = [
    # 1. Person (or, autonomous, the agent): holds the right to this very call.
    Cut("person", "person.entitlements", [], PEOPLE, "permits.none"),
    Cut("person", "person.entitlements", [{**RIGHT, "tool": "payments/get_*"}], PEOPLE, "permits.none"),
    Cut("person", "person.entitlements", [{**RIGHT, "permission": "see"}], PEOPLE, "permits.none"),
    Cut("person", "person.entitlements", [{**RIGHT, "expires_at": PAST}], PEOPLE, "permits.none"),
    Cut("person", "person.entitlements", [{**RIGHT, "constraints": [BOUND]}], PEOPLE, "permits.none"),
    Cut("person", "person.status", "suspended", PEOPLE, "identity.person_inactive"),
    Cut("person", "person.status", "deleted", PEOPLE, "identity.person_inactive"),
    Cut("person", "claims.sub", "stranger", PEOPLE, "identity.person_unknown"),
    Cut("person", "agent.entitlements", [], ("autonomous",), "permits.none"),
    Cut("person", "agent.entitlements", [{**RIGHT, "expires_at": PAST}], ("autonomous",), "permits.none"),
    Cut("person", "agent.entitlements", [{**RIGHT, "constraints": [BOUND]}], ("autonomous",), "permits.none"),
    # 2. Delegation: the person let this agent, and every link of the chain, do this.
    Cut("delegation", "delegation", None, DELEGATED, "identity.delegation_missing"),
    Cut("delegation", "delegation.expires_at", PAST, DELEGATED, "identity.delegation_missing"),
    Cut("delegation", "delegation.scope", [], DELEGATED, "guards.delegation_covers"),
    Cut("delegation", "delegation.scope", OTHER, DELEGATED, "guards.delegation_covers"),
    Cut("delegation", "delegation.max_impact", "read", DELEGATED, "guards.impact_within"),
    Cut("delegation", "link", None, ("chain",), "identity.chain_broken"),
    Cut("delegation", "link.expires_at", PAST, ("chain",), "identity.chain_broken"),
    Cut("delegation", "link.scope", OTHER, ("chain",), "guards.delegation_covers"),
    # 3. Agent: everyone at work may be used for this tool, and for what it does to the world.
    Cut("agent", "agent.ceiling", [], AGENTS, "guards.agent_ceiling"),
    Cut("agent", "agent.ceiling", OTHER, AGENTS, "guards.agent_ceiling"),
    Cut("agent", "agent.max_impact", "read", AGENTS, "guards.impact_within"),
    Cut("agent", "agent.status", "disabled", AGENTS, "identity.agent_inactive"),
    Cut("agent", "entry.ceiling", OTHER, ("chain",), "guards.agent_ceiling"),
    Cut("agent", "entry.max_impact", "read", ("chain",), "guards.impact_within"),
    Cut("agent", "entry.status", "disabled", ("chain",), "identity.agent_inactive"),
    # 4. Token: it was issued for this server, this use and this time.
    Cut("token", "claims.scope", "tools:call", ALL, "guards.token_scope"),
    Cut("token", "claims.scope", "", ALL, "guards.token_scope"),
    Cut("token", "claims.aud", "https://mcp.example/mail", ALL, "identity.audience"),
    Cut("token", "claims.exp", 1, ALL, "identity.expired"),
    Cut("token", "caller", "asserted", ("user_direct", *ALONE, "autonomous"), "guards.token_scope"),
    # 5. Registry: the tool is approved as the adapter sees it, and takes these arguments.
    Cut("registry", "tool.definition_digest", "sha256:" + "0" * 64, ALL, "tool.drifted"),
    Cut("registry", "tool.name", "never_heard_of", ALL, "tool.unknown"),
    Cut("registry", "arguments", {"order": "o-1"}, ALL, "tool.arguments"),
    Cut("registry", "arguments", {"order": "o-1", "amount": "100"}, ALL, "tool.arguments"),
]
LEGS = ("person", "delegation", "agent", "token", "registry")
SINGLE = [(mode, cut) for cut in CUTS for mode in cut.modes]


class Stage(NamedTuple):
    """The service, its store, and the people as they stand in it now."""

    bench: Bench
    store: Store
    unsafe_key: str


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["opa", "wasm"])
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    path: Path = tmp_path_factory.mktemp("legs")
    settings = {"engine": request.param, "rate_per_second": 10_000, "org_dir": calm(path / "org")}
    async with running(path / "data", **settings) as bench:
        key = await add_pep(bench.settings, bench.clock, unsafe_assert_identity=True)
        await bench.service.peps.poll()
        store = await open_store(bench.settings.store_url)
        yield Stage(bench, store, key)
        await store.dispose()


def cut_down(cuts: list[Cut]) -> dict[str, Any]:
    """Return the good call without what the cuts take away."""
    call = copy.deepcopy(GOOD)
    for cut in cuts:
        place, _, member = cut.what.partition(".")
        if member:
            call[place][member] = cut.value
        else:
            call[place] = cut.value
    return call


def feed(call: dict[str, Any], mode: str) -> dict[str, Any]:
    """Return who there is, and what they may do, as a feed says it."""
    first = "entry" if mode == "chain" else "agent"
    link, delegation = call["link"], call["delegation"]
    common = {"owners": ["p"]}
    return {
        "source": "corp",  # as the service was seeded
        "people": [{"id": "p", "aliases": alias("alice-1"), **call["person"]}],
        "agents": [
            {"id": "entry", "aliases": alias("entry-1"), **common, **call["entry"]}
            | {"subagents": [{"agent": "agent", **link}] if link else []},
            {"id": "agent", "aliases": alias("agent-1"), **common, **call["agent"]},
        ],
        "delegations": [{"person": "p", "agent": first, **delegation}] if delegation else [],
        "servers": [{"id": "payments", "audiences": {ISSUER: [AUDIENCE]}, "required_scopes": ["refunds"]}],
    }


async def bring(stage: Stage, call: dict[str, Any], mode: str) -> None:
    """Make the store say exactly this, and let the service notice."""
    now = stage.bench.clock()
    async with transaction(stage.store) as connection:
        await connection.execute(tables.delegations.delete())  # a feed takes back none that it no longer mentions
        await append(connection, "identity", [EVERYTHING], now)
    await import_identity(stage.store, read_feed(msgspec.json.encode(feed(call, mode))), now)
    await stage.bench.service.world.people.poll()
    await stage.bench.service.world.tools.poll()  # the server's scopes, the first time


def credential(stage: Stage, call: dict[str, Any], mode: str) -> dict[str, Any]:
    if call["caller"] == "token":
        return {"access_token": stage.bench.token(**{**WHO[mode], **call["claims"]})}
    person = {"person": "p"} if mode in PEOPLE else {}
    agent = {"agent": "agent"} if mode in AGENTS else {}
    return {"asserted": {**person, **agent}}


async def codes(stage: Stage, mode: str, cuts: list[Cut]) -> list[str]:
    """Ask for the good call without what the cuts take away; return why it was denied, nothing when allowed."""
    call = cut_down(cuts)
    await bring(stage, call, mode)
    body = {"caller": credential(stage, call, mode), "tool": call["tool"], "arguments": call["arguments"]}
    key = stage.bench.key if call["caller"] == "token" else stage.unsafe_key
    response = await stage.bench.post("/v1/decisions", body, Authorization=f"Bearer {key}")
    given = response.json()
    assert response.status_code == 200, given
    assert (given["decision"] == "allow") == (given["reasons"] == []), given
    assert given["decision"] in {"allow", "deny"}, given
    return [reason["code"] for reason in given["reasons"]]


@pytest.mark.parametrize("mode", WHO)
async def test_a_call_that_every_leg_carries_is_allowed(mode: str, stage: Stage) -> None:
    assert await codes(stage, mode, []) == []


@pytest.mark.parametrize(("mode", "cut"), SINGLE, ids=lambda value: getattr(value, "what", value))
async def test_a_call_that_loses_one_leg_is_denied_with_the_code_of_that_leg(mode: str, cut: Cut, stage: Stage) -> None:
    assert await codes(stage, mode, [cut]) == [cut.code]


@st.composite
def mutilated(draw: st.DrawFn) -> tuple[str, list[Cut]]:
    """Return a mode and one to five cuts that concern it, none at the same place as another."""
    mode = draw(st.sampled_from(ALL))
    possible = [cut for cut in CUTS if mode in cut.modes]
    return mode, draw(
        st.lists(st.sampled_from(possible), min_size=1, max_size=5, unique_by=lambda cut: cut.what.partition(".")[0])
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=mutilated())
async def test_no_leg_stands_in_for_another(case: tuple[str, list[Cut]], stage: Stage) -> None:
    """However much is missing, the call is denied, and only for what is missing."""
    mode, cuts = case
    given_codes = await codes(stage, mode, cuts)
    assert given_codes
    assert set(given_codes) <= {cut.code for cut in cuts}


async def test_the_table_has_every_leg_in_every_mode_that_stands_on_it() -> None:
    without = {("delegation", "user_direct"), ("delegation", "autonomous"), ("agent", "user_direct")}
    assert {(cut.leg, mode) for mode, cut in SINGLE} == {(leg, mode) for leg in LEGS for mode in ALL} - without
