"""Approvals on each database: what the tables of states say is all that happens, once, in one order, on record."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from pdp.approvals import requests
from pdp.approvals.floor import Voter
from pdp.approvals.requests import Ballot, Ruling, Terms
from pdp.approvals.states import (
    APPROVALS,
    RECORDED_AS,
    REQUESTS,
    ApprovalState,
    ApprovalStep,
    RequestState,
    RequestStep,
    approval_after,
    request_after,
)
from pdp.approvals.sweeping import Sweeping
from pdp.audit.entry import KINDS
from pdp.audit.office import Office
from pdp.errors import Fault, Rejected
from pdp.store import approvals as store
from pdp.store.moment import moment, on_clock
from pdp.store.sql import reading, transaction
from pdp.times import rfc3339, system_clock
from tests.conftest import FakeClock
from tests.rooms import Rooms, open_rooms

TERMS = Terms(decide_within_s=900, execute_within_s=300, uses=1)
REDEEMERS, ROUNDS = 64, 50


def call(**changes: Any) -> dict[str, Any]:
    """Return what a request is opened with: an agent that acts for alice wants to pay a refund."""
    plan = {"uses": TERMS.uses, "execute_within_s": TERMS.execute_within_s}
    return {
        "action_digest": f"sha256:{uuid.uuid4().hex}",
        "person": "alice",
        "agent": "helpdesk",
        "chain": ["planner"],
        "owners": [],
        "server": "payments",
        "tool": "create_refund",
        "definition_digest": "sha256:tool",
        "gates": ["gates.amount"],
        "plan": plan,
        "shown": {"action": "sha256:shown"},
        "decision": "dec_1",
        "pep": "pep_1",
        **changes,
    }


def ballot(person: str, vote: Any = "approve", **changes: Any) -> Ballot:
    """Return a ballot of a person."""
    return Ballot(Voter(person, changes.get("kind", "person"), changes.get("through")), vote, "because", "sha256:seen")


async def two_of_us(_request: Any, votes: list[Any], cast: Ballot) -> Ruling:
    """Rule as a policy that wants two people, and takes one no for an answer."""
    if cast.vote == "deny":
        return Ruling("only", "deny")
    return Ruling("only", "approve" if len(votes) >= 1 else "vote")


@pytest.fixture
async def rooms(url: str, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Rooms]:
    async with open_rooms(tmp_path, clock, url=url) as opened:
        yield opened


@pytest.fixture
def office(rooms: Rooms, clock: FakeClock) -> Office:
    return Office(on_clock(rooms.store, clock), rooms.log, clock)


async def granted(office: Office, **changes: Any) -> dict[str, Any]:
    """Return a request that two people approved."""
    opened, _ = await requests.ask(office, call(**changes), TERMS)
    await requests.vote(office, opened["id"], ballot("carol"), two_of_us)
    return await requests.vote(office, opened["id"], ballot("dave"), two_of_us)


def told(rooms: Rooms) -> list[str]:
    """Return the kinds of the records that speak of approvals, in order."""
    kinds = [kind for kind in KINDS if kind.startswith("approval.")]
    found = [entry for kind in kinds for entry in rooms.entries(kind)]
    return [entry.kind.removeprefix("approval.") for entry in sorted(found, key=lambda entry: entry.index)]


@pytest.mark.promise("approvals.lifecycle")
@pytest.mark.parametrize("state", get_args(RequestState))
@pytest.mark.parametrize("step", get_args(RequestStep))
def test_a_request_moves_as_the_table_says_and_not_otherwise(state: RequestState, step: RequestStep) -> None:
    if state == "open":
        assert request_after(state, step) == REQUESTS[state, step]
    else:
        with pytest.raises(Fault):
            request_after(state, step)


@pytest.mark.promise("approvals.lifecycle")
@pytest.mark.parametrize("state", get_args(ApprovalState))
@pytest.mark.parametrize("step", get_args(ApprovalStep))
def test_an_approval_moves_as_the_table_says_and_not_otherwise(state: ApprovalState, step: ApprovalStep) -> None:
    if state == "active":
        assert approval_after(state, step) == APPROVALS[state, step]
    else:
        with pytest.raises(Fault):
            approval_after(state, step)


@pytest.mark.promise("approvals.lifecycle")
def test_every_step_has_a_kind_of_record() -> None:
    assert set(RECORDED_AS.values()) == {kind for kind in KINDS if kind.startswith("approval.")}
    assert set(RECORDED_AS) >= {step for _, step in (*REQUESTS, *APPROVALS)} - {"expire"}


@pytest.mark.promise("approvals.once")
async def test_two_people_agree_the_call_runs_once_and_all_of_it_is_on_record(office: Office, rooms: Rooms) -> None:
    request = await granted(office)
    assert request["state"] == "approved"
    used = await requests.use(office, request["id"], request["action_digest"], "dec_2")
    assert (used["state"], used["uses_left"], used["gates"]) == ("spent", 0, ["gates.amount"])
    with pytest.raises(Rejected, match="no longer"):
        await requests.use(office, request["id"], request["action_digest"], "dec_3")
    assert told(rooms) == ["opened", "voted", "voted", "approved", "spent"]


@pytest.mark.promise("approvals.bound")
async def test_an_approval_is_of_no_use_for_another_action(office: Office) -> None:
    request = await granted(office)
    with pytest.raises(Rejected, match="for this call"):
        await requests.use(office, request["id"], call()["action_digest"], "dec_2")


@pytest.mark.promise("approvals.one_question")
async def test_the_same_call_asked_again_joins_the_open_question(office: Office, rooms: Rooms) -> None:
    asked = call()
    first, new = await requests.ask(office, asked, TERMS)
    second, again = await requests.ask(office, asked | {"decision": "dec_2"}, TERMS)
    assert (first["id"], new, again) == (second["id"], True, False)
    assert told(rooms) == ["opened", "attached"]
    third, other = await requests.ask(office, call(), TERMS)
    assert (third["id"] != first["id"], other) == (True, True)


@pytest.mark.promise("approvals.floor")
@pytest.mark.parametrize(
    ("cast", "code"),
    [
        (ballot("alice"), "approvals.own_call"),
        (ballot("helpdesk"), "approvals.own_call"),
        (ballot("planner"), "approvals.own_call"),
        (ballot("olga"), "approvals.own_call"),
        (ballot("robot", kind="agent"), "approvals.not_a_person"),
        (ballot("cron", kind="service"), "approvals.not_a_person"),
        (ballot("carol", through="robot"), "approvals.not_a_person"),
    ],
)
async def test_nobody_behind_the_call_and_nothing_but_a_person_votes(
    cast: Ballot, code: str, office: Office, rooms: Rooms
) -> None:
    opened, _ = await requests.ask(office, call(owners=["olga"]), TERMS)
    with pytest.raises(Rejected) as refused:
        await requests.vote(office, opened["id"], cast, two_of_us)
    assert refused.value.code == code
    assert told(rooms) == ["opened"]


@pytest.mark.promise("approvals.floor")
async def test_a_person_has_one_vote(office: Office) -> None:
    opened, _ = await requests.ask(office, call(), TERMS)
    await requests.vote(office, opened["id"], ballot("carol"), two_of_us)
    with pytest.raises(Rejected, match="one vote a person"):
        await requests.vote(office, opened["id"], ballot("carol"), two_of_us)


@pytest.mark.promise("approvals.lifecycle")
async def test_what_is_decided_stays_decided(office: Office) -> None:
    opened, _ = await requests.ask(office, call(), TERMS)
    denied = await requests.vote(office, opened["id"], ballot("carol", "deny"), two_of_us)
    assert (denied["state"], denied["feedback"]) == ("denied", "because")
    for attempt in (
        requests.vote(office, opened["id"], ballot("dave"), two_of_us),
        requests.cancel(office, opened["id"], "alice", ""),
        requests.supersede(office, opened["id"], "the tool changed"),
    ):
        with pytest.raises(Rejected, match="denied"):
            await attempt


@pytest.mark.promise("approvals.time")
async def test_a_request_that_ran_out_takes_no_vote_and_says_so(office: Office, clock: FakeClock, rooms: Rooms) -> None:
    opened, _ = await requests.ask(office, call(), TERMS)
    clock.advance(TERMS.decide_within_s)
    with pytest.raises(Rejected, match="expired"):
        await requests.vote(office, opened["id"], ballot("carol"), two_of_us)
    assert told(rooms) == ["opened", "expired"]


@pytest.mark.promise("approvals.recorded")
async def test_what_ran_out_is_on_record_once_also_when_a_no_ends_the_asking(
    office: Office, clock: FakeClock, rooms: Rooms
) -> None:
    await requests.ask(office, call(), TERMS)
    clock.advance(TERMS.decide_within_s - 1)
    refused = call()
    opened, _ = await requests.ask(office, refused, TERMS)
    await requests.vote(office, opened["id"], ballot("carol", "deny"), two_of_us)
    clock.advance(1)
    for _ in range(3):
        with pytest.raises(requests.Denied):
            await requests.ask(office, refused, TERMS)
    await requests.sweep(office)
    assert told(rooms).count("expired") == 1


@pytest.mark.promise("approvals.recorded")
async def test_a_sweep_that_nobody_waits_for_goes_on_and_records_each_request_once(
    office: Office, clock: FakeClock, rooms: Rooms
) -> None:
    many = 3 * store.MARKED_TOGETHER + 1
    for number in range(many):
        await requests.ask(office, call(agent=f"bot-{number}"), TERMS)
    clock.advance(TERMS.decide_within_s)
    async with transaction(office.store) as connection:
        assert len(await store.expire_requests(connection)) == store.MARKED_TOGETHER, "the rest waits its turn"
        await connection.rollback()
    sweeping = Sweeping(office)
    for looks in range(40):
        await sweeping.soon_done(looks / 2000)  # some of them in the middle of a transaction
    await sweeping.done()
    await sweeping.close()
    assert told(rooms).count("expired") == many


@pytest.mark.promise("approvals.lifecycle")
async def test_what_ran_out_is_in_nobodys_way_before_it_is_swept(office: Office, clock: FakeClock) -> None:
    first = [(await requests.ask(office, call(), TERMS))[0] for _ in range(requests.MOST_OPEN)]
    clock.advance(TERMS.decide_within_s)
    again, is_new = await requests.ask(office, call(action_digest=first[-1]["action_digest"]), TERMS)
    assert is_new
    assert again["id"] != first[-1]["id"]
    with pytest.raises(Rejected, match="expired"):
        await requests.vote(office, first[0]["id"], ballot("carol", "deny"), two_of_us)


@pytest.mark.promise("approvals.lifecycle")
async def test_a_later_no_to_the_same_call_ends_an_approval_that_was_given_before(office: Office, rooms: Rooms) -> None:
    first = await granted(office)
    again, _ = await requests.ask(office, call(action_digest=first["action_digest"]), TERMS)
    await requests.vote(office, again["id"], ballot("erin", "deny"), two_of_us)
    with pytest.raises(Rejected, match="no longer"):
        await requests.use(office, first["id"], first["action_digest"], "dec_2")
    assert told(rooms)[-3:] == ["voted", "revoked", "denied"]


@pytest.mark.promise("approvals.not_worn_out")
async def test_a_caller_that_asks_much_at_once_has_no_more_questions_open_than_one_may(office: Office) -> None:
    asked = [requests.ask(office, call(), TERMS) for _ in range(requests.MOST_OPEN + 8)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in told if isinstance(one, Rejected)]
    assert (len(told) - len(refused), {one.code for one in refused}) == (requests.MOST_OPEN, {"approvals.too_many"})


@pytest.mark.promise("approvals.not_worn_out")
async def test_a_caller_that_asks_and_withdraws_in_turns_comes_to_an_end(office: Office, clock: FakeClock) -> None:
    same = call()
    for _ in range(requests.MOST_OPEN):
        opened, _ = await requests.ask(office, same, TERMS)
        await requests.cancel(office, opened["id"], "alice", "")
    with pytest.raises(Rejected, match="wait for people"):
        await requests.ask(office, same, TERMS)
    clock.advance(requests.WITHDRAWN_COUNTS_S + 1)
    assert (await requests.ask(office, same, TERMS))[1]


@pytest.mark.promise("approvals.time")
async def test_an_approval_that_ran_out_lets_nothing_through(office: Office, clock: FakeClock, rooms: Rooms) -> None:
    request = await granted(office)
    clock.advance(TERMS.execute_within_s)
    with pytest.raises(Rejected):
        await requests.use(office, request["id"], request["action_digest"], "dec_2")
    await requests.sweep(office)
    assert told(rooms)[-1] == "lapsed"


@pytest.mark.promise("approvals.time")
async def test_time_is_the_databases_own_unless_a_test_says_otherwise(rooms: Rooms, clock: FakeClock) -> None:
    async with reading(rooms.store) as connection:
        assert abs((await moment(connection) - system_clock()).total_seconds()) < 60
    async with reading(on_clock(rooms.store, clock)) as connection:
        assert await moment(connection) == clock()


@pytest.mark.promise("approvals.once")
async def test_a_revoked_approval_lets_nothing_through(office: Office, rooms: Rooms) -> None:
    request = await granted(office)
    await requests.revoke(office, request["id"], "carol", "changed my mind")
    with pytest.raises(Rejected):
        await requests.use(office, request["id"], request["action_digest"], "dec_2")
    with pytest.raises(Rejected, match="not active"):
        await requests.revoke(office, request["id"], "carol", "again")
    assert told(rooms)[-1] == "revoked"


@pytest.mark.promise("approvals.once")
async def test_of_many_who_vote_at_once_each_is_counted_and_one_completes_it(office: Office, rooms: Rooms) -> None:
    opened, _ = await requests.ask(office, call(), TERMS)
    people = [f"p{number}" for number in range(6)]
    done = await asyncio.gather(
        *(requests.vote(office, opened["id"], ballot(person), two_of_us) for person in people), return_exceptions=True
    )
    ended = Counter(result["state"] if isinstance(result, dict) else getattr(result, "code", None) for result in done)
    assert ended == {"open": 1, "approved": 1, "approvals.closed": 4}
    assert told(rooms) == ["opened", "voted", "voted", "approved"]
    async with reading(office.store) as connection:
        assert len(await store.read_votes(connection, opened["id"])) == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.promise("approvals.once")
async def test_of_sixty_four_redeemers_exactly_one_wins_fifty_times(office: Office, rooms: Rooms) -> None:
    for _ in range(ROUNDS):
        request = await granted(office)
        asks = [
            requests.use(office, request["id"], request["action_digest"], f"dec_{number}")
            for number in range(REDEEMERS)
        ]
        done = await asyncio.gather(*asks, return_exceptions=True)
        assert sum(isinstance(result, dict) for result in done) == 1
        assert all(isinstance(result, dict | Rejected) for result in done), done
    assert told(rooms).count("spent") == ROUNDS


@pytest.mark.promise("approvals.recorded")
async def test_what_cannot_be_recorded_does_not_happen(office: Office, rooms: Rooms) -> None:
    request = await granted(office)
    await rooms.log.close()
    with pytest.raises(Fault):
        await requests.use(office, request["id"], request["action_digest"], "dec_2")
    async with transaction(office.store) as connection:
        approval = await store.read_approval(connection, request["id"])
    assert approval is not None
    assert (approval["state"], approval["uses_left"]) == ("active", 1)


@pytest.mark.promise("console.live")
async def test_the_pulse_of_requests_differs_after_every_transition(office: Office) -> None:
    async def pulse() -> Any:
        async with reading(office.store) as connection:
            return await store.read_pulse(connection)

    seen = [await pulse()]
    asked, _ = await requests.ask(office, call(), TERMS)
    seen.append(await pulse())
    for person in ("dave", "erin"):
        await requests.vote(office, asked["id"], ballot(person), two_of_us)
        seen.append(await pulse())
    await requests.use(office, asked["id"], asked["action_digest"], "dec_2")
    seen.append(await pulse())
    other, _ = await requests.ask(office, call(), TERMS)
    seen.append(await pulse())
    await requests.cancel(office, other["id"], "alice", "")
    assert all(one != next_one for one, next_one in pairwise([*seen, await pulse()]))


@pytest.mark.promise("console.answers")
async def test_the_past_is_listed_newest_first_and_compared_with_the_last_yes_to_the_same_tool(
    office: Office, clock: FakeClock
) -> None:
    past = []
    for tool, vote in (
        ("create_refund", "approve"),
        ("create_refund", "approve"),
        ("create_refund", "deny"),
        ("other", "approve"),
    ):
        asked, _ = await requests.ask(office, call(tool=tool), TERMS)
        for person in ("dave", "erin") if vote == "approve" else ("dave",):
            await requests.vote(office, asked["id"], ballot(person, vote), two_of_us)
        past.append(asked["id"])
        clock.advance(2)
    now, _ = await requests.ask(office, call(), TERMS)
    async with reading(office.store) as connection:
        listed = [row["id"] for row in await store.read_closed_requests(connection, "dave", 3)]
        voted = [row["id"] for row in await store.read_closed_requests(connection, "erin", 3)]
        nobodys = await store.read_closed_requests(connection, "frank", 3)
        before = await store.read_approved_before(connection, now)
        none = await store.read_approved_before(connection, {**now, "server": "elsewhere"})
        refused = await store.read_denied_before(connection, now, 3)
        others = [
            await store.read_denied_before(connection, {**now, **change}, 3)
            for change in (
                {"person": "bob"},
                {"person": None},
                {"tool": "other"},
                {"id": past[2]},
                {"opened_at": "2000"},
            )
        ]
    assert listed == past[:0:-1]
    assert (voted, nobodys) == ([past[3], past[1], past[0]], [])
    assert (before and before["id"], none) == (past[1], None)
    assert ([row["id"] for row in refused], others) == ([past[2]], [[]] * 5)


@pytest.mark.promise("approvals.time")
@pytest.mark.parametrize("ahead_s", [-7200, 7200])
async def test_a_replica_whose_clock_is_wrong_neither_shortens_nor_stretches_anything(
    ahead_s: int, rooms: Rooms, office: Office, clock: FakeClock
) -> None:
    wrong = FakeClock(clock() + timedelta(seconds=ahead_s))
    skewed = Office(on_clock(rooms.store, clock), rooms.log, wrong)
    opened, _ = await requests.ask(skewed, call(), TERMS)
    assert opened["expires_at"] == rfc3339(clock() + timedelta(seconds=TERMS.decide_within_s))
    await requests.sweep(skewed)
    await requests.vote(skewed, opened["id"], ballot("carol"), two_of_us)
    granted_now = await requests.vote(office, opened["id"], ballot("dave"), two_of_us)
    assert granted_now["state"] == "approved"
    clock.advance(TERMS.execute_within_s - 1)
    assert (await requests.use(skewed, opened["id"], opened["action_digest"], "dec_2"))["state"] == "spent"
