"""Chains of agents: whoever is handed a task must be registered to take it, and nobody on the way gains anything."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pdp.enrich import Facts, enrich
from pdp.errors import Refused
from pdp.identify import identify
from tests.conftest import FakeClock
from tests.flow.people import LATER, WEIGHTS, Part, agent, alias, delegation, opened

pytestmark = pytest.mark.promise("identify.chain")
ENTRY = {"sub": "a-1"}
PAIR = {"sub": "a-2", "act": ENTRY}
CHAIN = {"sub": "a-3", "act": PAIR}
"""Alice delegated to a1, a1 handed on to a2, and a2 to a3, which calls."""


def sub(to: str, **changes: Any) -> dict[str, Any]:
    return {"agent": to, "scope": ["payments/*"], **changes}


def team(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return three agents, each a subagent of the one before, and one that nobody hands anything to."""
    a1 = agent("a1", "a-1", **{"subagents": [sub("a2")], **changes.get("a1", {})})
    a2 = agent("a2", "a-2", **{"subagents": [sub("a3")], **changes.get("a2", {})})
    return [a1, a2, agent("a3", "a-3", **changes.get("a3", {})), agent("loner", "a-9")]


@pytest.fixture
async def part(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Part]:
    async with opened(tmp_path, clock) as part:
        await part.bring(agents=team(), delegations=[delegation("alice", "a1")])
        yield part


async def facts(part: Part, act: Any, tool: str = "create_refund") -> Facts:
    query = part.query(tool=tool, act=act)
    return await enrich(await identify(query, part.world), query, WEIGHTS, part.world)


async def code(part: Part, act: Any) -> str:
    """Return the code this chain is refused with."""
    with pytest.raises(Refused) as refused:
        await facts(part, act)
    return refused.value.code


@pytest.mark.parametrize(
    ("act", "chain"), [(ENTRY, ["a1"]), (PAIR, ["a2", "a1"]), (CHAIN, ["a3", "a2", "a1"])], ids=["one", "two", "three"]
)
async def test_a_registered_chain_acts_as_the_agent_at_the_wheel(act: Any, chain: list[str], part: Part) -> None:
    found = await identify(part.query(act=act), part.world)
    assert (found.mode, found.person, found.agent) == ("user_delegated", "alice", chain[0])
    shown = await facts(part, act)
    assert shown.agent is not None
    assert shown.delegation is not None
    assert (shown.agent.id, shown.delegation.chain, shown.delegation.scope) == (chain[0], chain, ["payments/*"])


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ({"sub": "a-1", "act": {"sub": "a-2"}}, "identity.delegation_missing"),  # alice knows nothing of a2
        ({"sub": "a-2"}, "identity.delegation_missing"),
        ({"sub": "a-3", "act": {"sub": "a-2"}}, "identity.delegation_missing"),
        ({"sub": "a-3", "act": ENTRY}, "identity.chain_broken"),  # a link was left out
        ({"sub": "a-9", "act": ENTRY}, "identity.chain_broken"),
        ({"sub": "a-1", "act": PAIR}, "identity.chain_broken"),  # back to where it came from
        ({"sub": "a-2", "act": PAIR}, "identity.chain_broken"),
        ({"sub": "stranger", "act": ENTRY}, "identity.agent_unknown"),
        ({"sub": "a-2", "act": {"sub": "stranger"}}, "identity.agent_unknown"),
        ({"sub": "a-2", "act": {"sub": "00u2"}}, "identity.ambiguous"),
        ({"sub": "a-2", "act": {"sub": "00u1", "act": ENTRY}}, "identity.ambiguous"),
        ({"sub": "a-3", "act": {"sub": "a-3", "act": {"sub": "a-3", "act": CHAIN}}}, "identity.claims"),  # too long
    ],
)
async def test_a_chain_with_a_link_nobody_registered_is_refused(act: Any, expected: str, part: Part) -> None:
    assert await code(part, act) == expected


@pytest.mark.parametrize("who", ["a1", "a2", "a3"])
async def test_every_agent_of_the_chain_must_be_active(who: str, part: Part) -> None:
    await facts(part, CHAIN)
    await part.bring(agents=team(**{who: {"status": "suspended"}}), delegations=[delegation("alice", "a1")])
    assert await code(part, CHAIN) == "identity.agent_inactive"


async def test_a_link_that_is_taken_back_is_forgotten_at_once(part: Part) -> None:
    await facts(part, CHAIN)
    await part.bring(agents=team(a1={"subagents": []}), delegations=[delegation("alice", "a1")])
    assert await code(part, CHAIN) == "identity.chain_broken"
    assert await facts(part, ENTRY)


async def test_a_link_ends_when_it_says_without_anyone_telling_the_cache(part: Part, clock: FakeClock) -> None:
    soon = "2026-01-05T10:00:03Z"
    await part.bring(agents=team(a2={"subagents": [sub("a3", expires_at=soon)]}))
    found = (await facts(part, CHAIN)).delegation
    assert found is not None
    assert found.expires_at == soon
    clock.advance(3)
    assert await code(part, CHAIN) == "identity.chain_broken"
    shorter = (await facts(part, PAIR)).delegation
    assert shorter is not None
    assert shorter.expires_at == LATER


@pytest.mark.parametrize("who", ["a1", "a2"])
async def test_what_a_link_does_not_cover_the_delegation_does_not_reach(who: str, part: Part) -> None:
    child = {"a1": "a2", "a2": "a3"}[who]
    await part.bring(agents=team(**{who: {"subagents": [sub(child, scope=["payments/get_*"])]}}))
    beyond, within = await facts(part, CHAIN), await facts(part, CHAIN, tool="get_order")
    assert beyond.delegation is not None
    assert within.delegation is not None
    assert (beyond.delegation.scope, within.delegation.scope) == ([], ["payments/*"])


@pytest.mark.parametrize("who", ["a1", "a2", "a3"])
async def test_ceiling_and_impact_are_those_of_the_narrowest_agent(who: str, part: Part) -> None:
    await part.bring(agents=team(**{who: {"ceiling": ["payments/get_*"], "max_impact": "read"}}))
    beyond, within = await facts(part, CHAIN), await facts(part, CHAIN, tool="get_order")
    assert beyond.agent is not None
    assert within.agent is not None
    assert (beyond.agent.ceiling, beyond.agent.max_impact) == ([], "read")
    assert within.agent.ceiling


async def test_signals_and_missing_owners_of_every_agent_count(part: Part) -> None:
    signal = {"id": "s", "entity_kind": "agent", "entity": "a1", "code": "device.unknown", "weight": 150}
    signal["observed_at"] = "2026-01-05T09:00:00Z"
    await part.bring(agents=team(a2={"owners": []}), signals=[signal])
    codes = [item.code for item in (await facts(part, CHAIN)).risk.evidence]
    assert codes.count("device.unknown") == 1
    assert "agent.unowned" in codes


async def test_only_the_agent_at_the_wheel_may_be_the_client(part: Part) -> None:
    assert await identify(part.query(act=PAIR, client_id="a-2"), part.world)
    for other in ("a-1", "a-9"):
        with pytest.raises(Refused, match=r"identity\.ambiguous"):
            await identify(part.query(act=PAIR, client_id=other), part.world)


async def test_a_chain_does_not_begin_with_an_agent_of_its_own(part: Part) -> None:
    """Autonomous agents do not hand on: the subject of a chain is a person."""
    with pytest.raises(Refused, match=r"identity\.ambiguous"):
        await identify(part.query(sub="a-1", act={"sub": "a-2"}, client_id="a-2"), part.world)


async def test_standing_of_the_chain_is_looked_at_again_before_the_decision(part: Part) -> None:
    query = part.query(act=CHAIN)
    caller = await identify(query, part.world)
    await part.bring(agents=team(a2={"subagents": []}), people=[{"id": "alice", "aliases": alias("00u1")}])
    with pytest.raises(Refused, match=r"identity\.chain_broken"):
        await enrich(caller, query, WEIGHTS, part.world)
