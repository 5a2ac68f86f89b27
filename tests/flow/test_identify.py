"""Identify: person, agent, client and session are told apart or the call is refused; standing is asked every time."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import Fault, Refused
from pdp.identify import Caller, identify
from pdp.identity.issuers import Issuer
from pdp.identity.tokens import TokenVerifier
from pdp.query import Assertion, Credential, Query, ToolRef
from pdp.store import tables
from pdp.store.changes import append
from pdp.store.sql import transaction
from tests.conftest import START, FakeClock
from tests.flow.people import Part, agent, alias, delegation, opened
from tests.idp import ABSENT, ISSUER

pytestmark = pytest.mark.promise("identify.parties")
NOW = int(START.timestamp())


@pytest.fixture
async def part(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Part]:
    async with opened(tmp_path, clock) as part:
        yield part


async def caller(part: Part, **claims: Any) -> Caller:
    return await identify(part.query(**claims), part.world)


async def code(part: Part, **claims: Any) -> str:
    """Return the code a token with these claims is refused with."""
    with pytest.raises(Refused) as refused:
        await caller(part, **claims)
    return refused.value.code


def parties(found: Caller) -> tuple[str, str | None, str | None]:
    return found.mode, found.person, found.agent


async def test_a_person_with_an_ordinary_client_calls_directly(part: Part) -> None:
    found = await caller(part, auth_time=NOW - 90, amr=["pwd"])
    assert parties(found) == ("user_direct", "alice", None)
    assert found.verified_by == "pdp"
    assert (found.client.id, found.session.id, found.session.age_s, found.session.amr) == (
        "web-app",
        "s-1",
        90,
        ["pwd"],
    )
    assert (found.token.issuer, found.token.scopes) == (ISSUER, ["tools:call", "refunds"])
    assert found.delegation is None


async def test_an_actor_makes_it_an_agent_for_a_person(part: Part) -> None:
    found = await caller(part, act={"sub": "client-7"})
    assert parties(found) == ("user_delegated", "alice", "bot")
    assert found.basis.agent_by == "act"
    assert found.delegation is not None


async def test_a_registered_agent_as_client_makes_it_an_agent_for_a_person_too(part: Part) -> None:
    found = await caller(part, client_id="client-7")
    assert parties(found) == ("user_delegated", "alice", "bot")
    assert found.basis.agent_by == "client"


async def test_an_agent_with_a_token_of_its_own_is_autonomous(part: Part) -> None:
    found = await caller(part, sub="client-7", client_id="client-7")
    assert parties(found) == ("autonomous", None, "bot")
    assert found.delegation is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sub": "stranger"}, "identity.person_unknown"),
        ({"sub": "stranger", "act": {"sub": "client-7"}}, "identity.person_unknown"),
        ({"sub": "stranger", "client_id": "client-7"}, "identity.person_unknown"),
        ({"act": {"sub": "stranger"}}, "identity.agent_unknown"),
        ({"client_id": "an agent that nobody registered"}, "identity.client_unknown"),
        ({"sub": "robot-1", "client_id": "robot-1"}, "identity.agent_unknown"),
        ({"act": {"sub": "00u2"}}, "identity.ambiguous"),
        ({"sub": "client-7", "act": {"sub": "client-8"}, "client_id": "client-8"}, "identity.ambiguous"),
        ({"act": {"sub": "client-7"}, "client_id": "client-8"}, "identity.ambiguous"),
        ({"client_id": "00u2"}, "identity.ambiguous"),
        ({"client_id": "00u1"}, "identity.ambiguous"),
        ({"client_id": "00u1", "act": {"sub": "client-7"}}, "identity.ambiguous"),
        ({"client_id": "00u2", "act": {"sub": "client-7"}}, "identity.ambiguous"),
        ({"sub": "client-7", "act": {"sub": "client-7"}, "client_id": "client-7"}, "identity.ambiguous"),
        ({"act": {"sub": "00u1"}}, "identity.ambiguous"),
        ({"sub": "00u3"}, "identity.person_inactive"),
        ({"sub": "00u3", "act": {"sub": "client-7"}}, "identity.person_inactive"),
        ({"act": {"sub": "client-9"}}, "identity.agent_inactive"),
        ({"client_id": "client-9"}, "identity.agent_inactive"),
        ({"sub": "client-9", "client_id": "client-9"}, "identity.agent_inactive"),
        ({"act": {"sub": "client-8"}}, "identity.delegation_missing"),
        ({"client_id": "client-8"}, "identity.delegation_missing"),
        ({"sub": "00u2", "act": {"sub": "client-7"}}, "identity.delegation_missing"),
    ],
)
async def test_who_cannot_be_told_or_has_no_standing_is_refused(
    claims: dict[str, Any], expected: str, part: Part
) -> None:
    assert await code(part, **claims) == expected


@pytest.mark.parametrize("client", ["web-app", "client-8", "client-9"])
async def test_a_person_who_calls_themselves_like_an_agent_does_not_become_it(client: str, part: Part) -> None:
    """At many issuers people choose their user name; RFC 9068, section 5, warns of exactly this collision."""
    assert await code(part, sub="client-7", client_id=client) == "identity.ambiguous"


@pytest.mark.parametrize("signed_in", [{"auth_time": NOW - 60}, {"amr": ["pwd"]}], ids=str)
async def test_a_person_who_signs_in_through_an_agents_client_under_its_name_does_not_become_it(
    part: Part, signed_in: dict[str, Any]
) -> None:
    assert await code(part, sub="client-7", client_id="client-7", **signed_in) == "identity.ambiguous"


@pytest.mark.parametrize(("subject", "expected"), [("client-7", "ambiguous"), ("00u1", "client_unknown")])
async def test_a_token_that_names_no_client_speaks_for_nobody(
    part: Part, tmp_path: Path, clock: FakeClock, subject: str, expected: str
) -> None:
    plain = Issuer(issuer=ISSUER, jwks_file=tmp_path / "jwks.json", token_types=("JWT",), direct_clients=("web-app",))
    lax = replace(part, tokens=TokenVerifier([plain], clock))
    token = part.idp.token(header={"typ": "JWT"}, sub=subject, client_id=ABSENT)
    with pytest.raises(Refused, match=rf"identity\.{expected}"):
        await identify(part.query(token=token), lax.world)


async def test_an_agent_whose_registration_is_lost_does_not_become_the_person(part: Part) -> None:
    assert parties(await caller(part, client_id="client-7")) == ("user_delegated", "alice", "bot")
    await part.bring(agents=[agent("bot", "client-99")])
    assert await code(part, client_id="client-7") == "identity.client_unknown"


async def test_any_client_speaks_as_the_person_only_where_that_is_named_unsafe(
    part: Part, tmp_path: Path, clock: FakeClock
) -> None:
    open_to_all = Issuer(issuer=ISSUER, jwks_file=tmp_path / "jwks.json", unsafe_any_client=True)
    lax = replace(part, tokens=TokenVerifier([open_to_all], clock))
    found = await identify(lax.query(client_id="an agent that nobody registered"), lax.world)
    assert parties(found) == ("user_direct", "alice", None)


async def test_one_name_at_an_issuer_cannot_be_a_person_and_an_agent(part: Part) -> None:
    """Then subject and client could be two; the store holds a name once, whoever registers it."""
    with pytest.raises(Fault, match="00u1"):
        await part.bring(agents=[agent("twin", "00u1")])
    with pytest.raises(Fault):
        await part.bring(agents=[agent("alice", "client-6")])


async def test_the_names_of_one_issuer_mean_nothing_at_another(part: Part) -> None:
    people = [{"id": "alice", "aliases": [{"issuer": "https://other.example", "subject": "00u1"}]}]
    await part.bring(people=people, delegations=[])
    assert await code(part) == "identity.person_unknown"


@pytest.mark.promise("identify.standing")
@pytest.mark.parametrize(
    ("changes", "claims", "expected"),
    [
        ({"people": [{"id": "alice", "aliases": alias("00u1"), "status": "disabled"}]}, {}, "identity.person_inactive"),
        ({"people": [{"id": "alice", "aliases": alias("00u1"), "status": "deleted"}]}, {}, "identity.person_inactive"),
        ({"people": [{"id": "alice"}]}, {}, "identity.person_unknown"),
        (
            {"agents": [agent("bot", "client-7", status="suspended")]},
            {"act": {"sub": "client-7"}},
            "identity.agent_inactive",
        ),
        (
            {"delegations": [delegation("alice", "bot", expires_at="2026-01-05T10:00:00Z")]},
            {"act": {"sub": "client-7"}},
            "identity.delegation_missing",
        ),
    ],
)
@pytest.mark.fault("caller.standing")
async def test_standing_that_was_lost_refuses_the_next_call(
    changes: dict[str, Any], claims: dict[str, Any], expected: str, part: Part
) -> None:
    await caller(part, **claims)
    await part.bring(**changes)
    assert await code(part, **claims) == expected


@pytest.mark.promise("identify.standing")
async def test_a_delegation_ends_when_it_says_without_anyone_telling_the_cache(part: Part, clock: FakeClock) -> None:
    soon = delegation("alice", "bot", expires_at="2026-01-05T10:00:03Z")
    await part.bring(delegations=[soon])
    assert (await caller(part, act={"sub": "client-7"})).delegation
    clock.advance(3)
    assert await code(part, act={"sub": "client-7"}) == "identity.delegation_missing"


@pytest.mark.promise("identify.standing")
async def test_a_revoked_delegation_counts_for_nothing(part: Part) -> None:
    async with transaction(part.store) as connection:
        await connection.execute(tables.delegations.update().values(revoked_at="2026-01-05T09:00:00Z"))
        await append(connection, "identity", [("principal", "alice")], START)
    await part.people.poll()
    assert await code(part, act={"sub": "client-7"}) == "identity.delegation_missing"
    assert parties(await caller(part)) == ("user_direct", "alice", None)


@pytest.mark.promise("identify.standing")
@pytest.mark.parametrize(("claims", "session"), [({}, "s-1"), ({"sid": ABSENT}, "t-1")])
@pytest.mark.fault("caller.standing")
async def test_a_revoked_session_is_refused_though_its_token_is_good(
    claims: dict[str, Any], session: str, part: Part
) -> None:
    await caller(part, **claims)
    async with transaction(part.store) as connection:
        row = {"issuer": ISSUER, "id": session, "revoked_at": "2026-01-05T09:00:00Z", "source": "test"}
        await connection.execute(tables.sessions.insert(), row)
        await append(connection, "identity", [("session", f"{ISSUER} {session}")], START)
    await part.people.poll()
    assert await code(part, **claims) == "identity.session_revoked"
    assert await caller(part, sid="another")


async def test_among_delegations_of_several_feeds_the_one_that_covers_the_tool_counts(part: Part) -> None:
    other = delegation("alice", "bot", scope=["mail/*"], expires_at="2028-01-01T00:00:00Z")
    nothing: dict[str, Any] = {"people": [], "agents": [], "groups": [], "roles": [], "servers": []}
    await part.bring(source="self-service", delegations=[other], **nothing)
    narrow = (await caller(part, act={"sub": "client-7"})).delegation
    alice = await part.people.get("alice")
    assert alice is not None
    assert [d.scope for d in alice.delegations if d.id == narrow] == [["payments/*"]]


@pytest.mark.promise("identify.credentials")
async def test_a_token_for_another_server_is_refused(part: Part) -> None:
    assert await code(part, aud="https://mcp.example/mail") == "identity.audience"
    assert await code(part, server="mail") == "identity.audience"
    assert await code(part, server="never-heard-of") == "identity.audience"


@pytest.mark.promise("identify.credentials")
async def test_an_adapter_without_the_right_may_not_vouch_for_a_caller_and_nobody_comes_without_a_token(
    part: Part,
) -> None:
    tool = ToolRef(server="payments", name="create_refund")
    expected = {
        Credential(asserted=Assertion(person="alice")): "identity.assertion_refused",
        Credential(): "identity.token_missing",
    }
    for credential, expected_code in expected.items():
        with pytest.raises(Refused) as refused:
            await identify(Query(caller=credential, tool=tool), part.world)
        assert refused.value.code == expected_code


@pytest.mark.promise("identify.credentials")
async def test_what_the_caller_claims_beside_the_token_identifies_nobody(part: Part) -> None:
    query = part.query(sub="stranger")
    claimed = {"person": "alice", "sub": "00u1", "client_info": {"name": "bot"}}
    with pytest.raises(Refused, match=r"identity\.person_unknown"):
        await identify(Query(caller=query.caller, tool=query.tool, arguments=claimed, context=claimed), part.world)
