"""Enrich: the rights that concern this call and no others, at this time, and the risk with its evidence."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.enrich import Facts, enrich
from pdp.errors import Refused
from pdp.identify import identify
from pdp.store import tables
from pdp.store.changes import append
from pdp.store.sql import transaction
from tests.conftest import START, FakeClock
from tests.flow.people import WEIGHTS, Part, agent, alias, delegation, opened
from tests.idp import ABSENT, ISSUER

pytestmark = pytest.mark.promise("enrich.sliced")
NOW = int(START.timestamp())
DELEGATED: dict[str, Any] = {"act": {"sub": "client-7"}}


@pytest.fixture
async def part(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Part]:
    async with opened(tmp_path, clock) as part:
        yield part


async def facts(part: Part, *, tool: str = "create_refund", **claims: Any) -> Facts:
    query = part.query(tool=tool, **claims)
    return await enrich(await identify(query, part.world), query, WEIGHTS, part.world)


def evidence(found: Facts) -> set[str]:
    return {item.code for item in found.risk.evidence}


async def test_a_person_has_the_rights_that_concern_this_tool_and_says_where_from(part: Part) -> None:
    found = (await facts(part)).person
    assert found is not None
    assert (found.id, found.groups, found.roles) == ("alice", ["staff", "support"], ["refunder"])
    right = msgspec.to_builtins(found.entitlements[0])
    assert len(found.entitlements) == 1
    assert right == {
        "id": right["id"],
        "permission": "call",
        "via": "role:refunder",
        "constraints": [{"pointer": "/amount", "op": "le", "value": 10000}],
        "expires_at": "9999-12-31T23:59:59Z",
    }


async def test_a_right_by_a_nested_group_is_found_by_its_pattern(part: Part) -> None:
    found = (await facts(part, tool="get_order")).person
    assert found is not None
    assert [right.via for right in found.entitlements] == ["group:staff"]


@pytest.mark.parametrize("tool", ["get", "Get_order", "send", "delete_order", "create_refund2"])
async def test_a_tool_that_no_pattern_covers_comes_with_no_right(tool: str, part: Part) -> None:
    found = (await facts(part, tool=tool, **DELEGATED)).person
    assert found is not None
    assert found.entitlements == []


async def test_a_direct_caller_has_neither_agent_nor_delegation(part: Part) -> None:
    found = await facts(part)
    assert (found.agent, found.delegation) == (None, None)


async def test_an_agent_for_a_person_brings_its_ceiling_and_the_delegation(part: Part) -> None:
    found = await facts(part, **DELEGATED)
    assert msgspec.to_builtins(found.agent)["ceiling"] == ["payments/*"]
    assert msgspec.to_builtins(found.agent)["owners"] == ["alice"]
    shown = msgspec.to_builtins(found.delegation)
    assert (shown["scope"], shown["max_impact"], shown["chain"]) == (["payments/*"], "write", ["bot"])


async def test_an_autonomous_agent_has_its_own_rights_and_no_person(part: Part) -> None:
    found = await facts(part, sub="client-7", client_id="client-7")
    assert (found.person, found.delegation) == (None, None)
    assert found.agent is not None
    assert [right.via for right in found.agent.entitlements] == ["direct"]


async def test_a_ceiling_and_a_scope_that_do_not_cover_the_tool_come_empty(part: Part) -> None:
    await part.bring(
        agents=[agent("bot", "client-7", ceiling=["mail/*", "payments/get_*"])],
        delegations=[delegation("alice", "bot", scope=["mail/*"])],
    )
    found = await facts(part, **DELEGATED)
    assert msgspec.to_builtins(found.agent)["ceiling"] == []
    assert msgspec.to_builtins(found.delegation)["scope"] == []


@pytest.mark.promise("enrich.expiry")
@pytest.mark.parametrize("link", ["entitlement", "membership", "role"])
async def test_a_right_ends_on_the_second_with_any_of_its_links_and_without_a_poll(
    link: str, part: Part, clock: FakeClock
) -> None:
    end = {"expires_at": "2026-01-05T10:00:02Z"}
    right = {"permission": "call", "tool": "payments/*", **(end if link == "entitlement" else {})}
    await part.bring(
        people=[
            {"id": "alice", "aliases": alias("00u1"), "groups": [{"id": "g", **end} if link == "membership" else "g"]}
        ],
        groups=[{"id": "g", "roles": [{"id": "r", **end} if link == "role" else "r"]}],
        roles=[{"id": "r", "entitlements": [right]}],
        delegations=[],
    )
    clock.advance(1)
    found = (await facts(part)).person
    assert found is not None
    assert [right.expires_at for right in found.entitlements] == ["2026-01-05T10:00:02Z"]
    clock.advance(1)
    found = (await facts(part)).person
    assert found is not None
    assert found.entitlements == []


@pytest.mark.promise("enrich.standing")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"people": [{"id": "alice", "aliases": alias("00u1"), "status": "disabled"}]}, "identity.person_inactive"),
        ({"agents": [agent("bot", "client-7", status="disabled")]}, "identity.agent_inactive"),
        (
            {"delegations": [delegation("alice", "bot", expires_at="2026-01-05T09:00:00Z")]},
            "identity.delegation_missing",
        ),
    ],
)
async def test_standing_that_is_lost_between_identify_and_enrich_is_refused(
    changes: dict[str, Any], expected: str, part: Part
) -> None:
    query = part.query(**DELEGATED)
    caller = await identify(query, part.world)
    await part.bring(**changes)
    with pytest.raises(Refused) as refused:
        await enrich(caller, query, WEIGHTS, part.world)
    assert refused.value.code == expected


@pytest.mark.promise("enrich.standing")
async def test_someone_removed_between_identify_and_enrich_is_refused(part: Part) -> None:
    query = part.query()
    caller = await identify(query, part.world)
    async with transaction(part.store) as connection:
        await connection.execute(tables.principals.delete().where(tables.principals.c.id == "alice"))
        await append(connection, "identity", [("principal", "alice")], START)
    await part.people.poll()
    with pytest.raises(Refused, match=r"identity\.person_unknown"):
        await enrich(caller, query, WEIGHTS, part.world)


@pytest.mark.promise("enrich.standing")
async def test_an_agent_without_its_record_is_no_agent_without_limits(part: Part) -> None:
    async with transaction(part.store) as connection:
        await connection.execute(tables.agents.delete())
        await append(connection, "identity", [("principal", "bot")], START)
    await part.people.poll()
    with pytest.raises(Refused, match=r"facts\.unavailable"):
        await facts(part, **DELEGATED)


@pytest.mark.promise("enrich.risk")
async def test_the_first_use_of_a_tool_is_a_fact_and_a_sign_until_it_was_allowed(part: Part) -> None:
    first = await facts(part, **DELEGATED)
    assert first.first_use
    assert "use.first" in evidence(first)
    part.people.remember_use("alice", "bot", "payments", "create_refund")
    second = await facts(part, **DELEGATED)
    assert not second.first_use
    assert "use.first" not in evidence(second)
    assert second.risk.score < first.risk.score
    assert (await facts(part)).first_use  # alice herself never did


@pytest.mark.promise("enrich.risk")
async def test_what_the_token_gives_away_is_weighed(part: Part, clock: FakeClock) -> None:
    signed_in: dict[str, Any] = {"auth_time": NOW - 60, "amr": ["pwd", "otp"]}
    assert evidence(await facts(part, **signed_in)) == {"token.bearer_only", "use.first"}
    assert "agent.by_client_id" in evidence(await facts(part, client_id="client-7"))
    assert "agent.by_client_id" not in evidence(await facts(part, **DELEGATED))
    old: dict[str, Any] = {"iat": NOW - 8 * 3600 - 1, "exp": NOW + 60}
    assert "token.old" in evidence(await facts(part, **old))
    assert (await facts(part, **old)).risk.score > (await facts(part)).risk.score


@pytest.mark.promise("enrich.risk")
async def test_how_and_when_a_person_signed_in_is_weighed_and_what_the_token_does_not_say_counts_as_the_worse(
    part: Part,
) -> None:
    good: dict[str, Any] = {"auth_time": NOW - 60, "amr": ["pwd", "otp"]}
    healthy = (await facts(part, **good)).risk.score
    worse: list[tuple[dict[str, Any], str]] = [
        ({"auth_time": NOW - 13 * 3600}, "session.old"),
        ({"auth_time": ABSENT}, "session.age_unknown"),
        ({"amr": ["pwd"]}, "session.weak"),
        ({"amr": ["otp"]}, "session.weak"),
        ({"amr": ABSENT}, "session.strength_unknown"),
        ({"sid": ABSENT}, "session.unknown"),
    ]
    scores = {}
    for change, code in worse:
        found = await facts(part, **{**good, **change})
        assert code in evidence(found)
        scores[code] = found.risk.score
    assert min(scores.values()) > healthy
    assert scores["session.age_unknown"] >= scores["session.old"]
    assert scores["session.strength_unknown"] >= scores["session.weak"]
    alone = await facts(part, sub="client-7", client_id="client-7")
    assert not any(code.startswith("session.") for code in evidence(alone)), "an agent by itself does not sign in"


@pytest.mark.promise("enrich.risk")
async def test_what_a_caller_did_before_is_weighed_on_its_next_call(part: Part, clock: FakeClock) -> None:
    for _ in range(20):
        part.habits.note(("alice", None), clock(), WEIGHTS, denied=True, unknown=True)
    assert {"use.refused", "use.probing"} <= evidence(await facts(part))
    assert not {"use.refused", "use.probing"} & evidence(await facts(part, **DELEGATED))


@pytest.mark.promise("enrich.risk")
async def test_an_agent_nobody_owns_is_a_sign(part: Part) -> None:
    await part.bring(agents=[agent("bot", "client-7", owners=[])])
    assert "agent.unowned" in evidence(await facts(part, **DELEGATED))


def signal(kind: str, entity: str, **changes: Any) -> dict[str, Any]:
    common = {"code": f"{kind}.risky", "weight": 500, "observed_at": "2026-01-05T09:00:00Z", "half_life_s": 3600}
    return {"id": f"sig-{entity}", "entity_kind": kind, "entity": entity, **common, **changes}


@pytest.mark.promise("enrich.risk")
async def test_stored_signals_of_person_agent_and_session_are_weighed_and_named(part: Part) -> None:
    healthy = (await facts(part, **DELEGATED)).risk.score
    await part.bring(
        signals=[
            signal("person", "alice"),
            signal("agent", "bot"),
            signal("session", f"{ISSUER} s-1"),
            signal("person", "bob"),
        ]
    )
    found = await facts(part, **DELEGATED)
    assert evidence(found) >= {"person.risky", "agent.risky", "session.risky"}
    assert found.risk.score > healthy
    one = next(item for item in found.risk.evidence if item.code == "person.risky")
    assert (one.since, one.source) == ("2026-01-05T09:00:00Z", "corp")
    assert "session.risky" not in evidence(await facts(part, sid="another", **DELEGATED))


@pytest.mark.promise("enrich.risk")
async def test_a_signal_fades_and_ends_without_a_poll(part: Part, clock: FakeClock) -> None:
    await part.bring(signals=[signal("person", "alice", expires_at="2026-01-05T10:00:04Z")])
    fresh = (await facts(part)).risk.score
    clock.advance(3)
    assert (await facts(part)).risk.score < fresh
    clock.advance(1)
    assert "person.risky" not in evidence(await facts(part))


@pytest.mark.promise("enrich.risk")
async def test_a_tool_nobody_registered_is_weighed_as_privileged(part: Part) -> None:
    unknown = (await facts(part, tool="nobody_knows")).risk.score
    assert (
        unknown
        > (await facts(part, tool="create_refund")).risk.score
        > (await facts(part, tool="get_order")).risk.score
    )


@pytest.mark.promise("enrich.risk")
async def test_coverage_says_what_was_there_and_missing_inputs_do_not_lower_the_score(part: Part) -> None:
    full = await facts(part, auth_time=NOW, amr=["pwd"])
    bare = await facts(part)
    assert full.risk.coverage["auth_time"] is True
    assert bare.risk.coverage == {
        "auth_time": False,
        "session": True,
        "sender_constraint": False,
        "authentication_methods": False,
    }
    assert bare.risk.score >= full.risk.score
